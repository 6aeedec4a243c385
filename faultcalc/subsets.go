package faultcalc

import "math/bits"

// subsetsBySize yields the subsets of s with up to most nodes, by size, then
// lexicographically, as borrowed sets.
func subsetsBySize(s Set, most int, yield func(Set) bool) {
	elems := s.appendIndices(nil)
	scratch := newSet(64 * len(s.w))
	for k := range min(most, len(elems)) + 1 {
		if !combinations(elems, k, scratch, yield) {
			return
		}
	}
}

// combinations yields the k-subsets of elems in lexicographic order. scratch
// is empty, and empty again when it returns true.
func combinations(elems []int32, k int, scratch Set, yield func(Set) bool) bool {
	pos := make([]int, k)
	for i := range pos {
		pos[i] = i
		scratch.add(int(elems[i]))
	}
	for {
		if !yield(scratch) {
			return false
		}
		// The last position that can still move, does; those after it follow.
		i := k - 1
		for i >= 0 && pos[i] == len(elems)-k+i {
			i--
		}
		for j := max(i, 0); j < k; j++ {
			scratch.remove(int(elems[pos[j]]))
		}
		if i < 0 {
			return true
		}
		pos[i]++
		scratch.add(int(elems[pos[i]]))
		for j := i + 1; j < k; j++ {
			pos[j] = pos[j-1] + 1
			scratch.add(int(elems[pos[j]]))
		}
	}
}

// graySubsets yields every subset of s in Gray-code order. Step i flips the
// node whose rank is the number of trailing zeros of i; ranks above 63 are
// reached by nesting, though no one will live to see them.
func graySubsets(s Set, yield func(Set) bool) {
	elems := s.appendIndices(nil)
	scratch := newSet(64 * len(s.w))
	if len(elems) == 0 {
		yield(scratch)
		return
	}
	grayWalk(elems, scratch, yield)
}

func grayWalk(elems []int32, scratch Set, yield func(Set) bool) bool {
	const most = 62
	low := elems[:min(len(elems), most)]
	type flip struct {
		word int
		bit  uint64
	}
	flips := make([]flip, len(low))
	for i, v := range low {
		flips[i] = flip{int(v >> 6), 1 << (v & 63)}
	}
	walk := func() bool {
		if len(low) < 2 {
			f := flips[0]
			if !yield(scratch) {
				return false
			}
			scratch.w[f.word] ^= f.bit
			return yield(scratch)
		}
		// The two lowest nodes make three of four flips; a fixed pattern for
		// them saves the search for the node of each step.
		first, second := &scratch.w[flips[0].word], &scratch.w[flips[1].word]
		bit0, bit1 := flips[0].bit, flips[1].bit
		for i := uint64(1); ; i++ {
			if !yield(scratch) {
				return false
			}
			*first ^= bit0
			if !yield(scratch) {
				return false
			}
			*second ^= bit1
			if !yield(scratch) {
				return false
			}
			*first ^= bit0
			if !yield(scratch) {
				return false
			}
			if i == 1<<(len(low)-2) {
				return true
			}
			f := flips[2+bits.TrailingZeros64(i)]
			scratch.w[f.word] ^= f.bit
		}
	}
	if len(elems) <= most {
		return walk()
	}
	// After a full walk the low part ends at its highest node alone, and a
	// further walk from there visits all of it again.
	return grayWalk(elems[most:], scratch, func(Set) bool { return walk() })
}
