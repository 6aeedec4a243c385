package faultcalc

import (
	"cmp"
	"iter"
	"math/bits"
)

// Set is a set of node indices of one [Model]: a fault set, a cut, a keeper
// set. Index i stands for Model.Nodes()[i]. The zero value is the empty set.
//
// A Set that an iterator yields is a borrowed view: it is valid until the next
// step only and must not be kept; Clone it to keep it. Sets of different
// models must not be mixed.
type Set struct{ w []uint64 }

// newSet returns an empty set with room for n nodes.
func newSet(n int) Set { return Set{make([]uint64, (n+63)/64)} }

func (s Set) add(i int)    { s.w[i>>6] |= 1 << (i & 63) }
func (s Set) remove(i int) { s.w[i>>6] &^= 1 << (i & 63) }

// word is the i-th word, zero beyond the end, so that sets of different
// lengths (the zero value among them) can be compared.
func (s Set) word(i int) uint64 {
	if i < len(s.w) {
		return s.w[i]
	}
	return 0
}

// Clone returns a copy that stays valid.
func (s Set) Clone() Set { return Set{append([]uint64(nil), s.w...)} }

// Len is the number of nodes in the set.
func (s Set) Len() int {
	n := 0
	for _, w := range s.w {
		n += bits.OnesCount64(w)
	}
	return n
}

// IsEmpty says whether the set has no node.
func (s Set) IsEmpty() bool {
	for _, w := range s.w {
		if w != 0 {
			return false
		}
	}
	return true
}

// Contains says whether node i is in the set.
func (s Set) Contains(i int) bool {
	return i >= 0 && s.word(i>>6)&(1<<(i&63)) != 0
}

// All yields the node indices in ascending order, which is topology order.
func (s Set) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for k, w := range s.w {
			for ; w != 0; w &= w - 1 {
				if !yield(k<<6 + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}

// Equal says whether both sets have the same nodes.
func (s Set) Equal(o Set) bool { return s.SubsetOf(o) && o.SubsetOf(s) }

// SubsetOf says whether every node of s is in o.
func (s Set) SubsetOf(o Set) bool {
	for i, w := range s.w {
		if w&^o.word(i) != 0 {
			return false
		}
	}
	return true
}

// Intersects says whether the sets share a node.
func (s Set) Intersects(o Set) bool {
	for i, w := range s.w {
		if w&o.word(i) != 0 {
			return true
		}
	}
	return false
}

// Union returns the nodes of s or o.
func (s Set) Union(o Set) Set {
	if len(s.w) < len(o.w) {
		s, o = o, s
	}
	u := s.Clone()
	for i, w := range o.w {
		u.w[i] |= w
	}
	return u
}

// Minus returns the nodes of s that are not in o.
func (s Set) Minus(o Set) Set {
	d := s.Clone()
	for i := range d.w {
		d.w[i] &^= o.word(i)
	}
	return d
}

// Compare orders sets by size, then lexicographically by node index: the order
// of every list of sets that this package promises to sort.
func (s Set) Compare(o Set) int {
	if c := cmp.Compare(s.Len(), o.Len()); c != 0 {
		return c
	}
	for i := range max(len(s.w), len(o.w)) {
		if d := s.word(i) ^ o.word(i); d != 0 {
			// At equal size, the set with the lowest differing index comes first.
			if s.word(i)&(d&-d) != 0 {
				return -1
			}
			return 1
		}
	}
	return 0
}

// key is a comparable copy of the set, for maps. Trailing zero words are cut
// off, so that equal sets have equal keys.
func (s Set) key() string {
	n := len(s.w)
	for n > 0 && s.w[n-1] == 0 {
		n--
	}
	b := make([]byte, 0, 8*n)
	for _, w := range s.w[:n] {
		for k := range 8 {
			b = append(b, byte(w>>(8*k)))
		}
	}
	return string(b)
}

// appendIndices appends the node indices in ascending order.
func (s Set) appendIndices(dst []int32) []int32 {
	for k, w := range s.w {
		for ; w != 0; w &= w - 1 {
			dst = append(dst, int32(k<<6+bits.TrailingZeros64(w)))
		}
	}
	return dst
}
