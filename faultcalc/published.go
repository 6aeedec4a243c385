package faultcalc

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/big"
	"slices"
)

// Published is the result of the published method, "horizontal calculation of
// the fault factors of a distributed database" (method/fault-factors.md), byte
// for byte reproducible. It promises less than its words: Keepers need not be
// a smallest cover, and its MinimalSubsets are not minimal. The exact sets are
// [Model.MinimalKeeperSets] and [Model.MinimalCutSets].
type Published struct {
	// Affected is A: the nodes that hold a replica of the table.
	Affected Set
	// Keepers is B: the columns that the tracking matrix takes. If they
	// survive, every shard keeps an available copy. [reading] Ties go to the
	// first node in topology order.
	Keepers Set
	// Removable is C = A \ B.
	Removable Set

	m *Model // nil while there is no B
}

// Published runs the published method.
//
// Errors: [ErrNotAny] if a shard has another rule than any;
// [ErrAlreadyUnavailable] if a shard has no available copy, so that its row
// can't be covered. With the latter, Affected is set, the rest is
// empty, and all the lists have no set at all: there is no B.
func (m *Model) Published() (Published, error) {
	if !m.allAny {
		return Published{}, fmt.Errorf("table %q: %w", m.table, ErrNotAny)
	}
	p := Published{Affected: m.affected.Clone()}
	for s := range m.number {
		if len(m.rows.row(s)) == 0 {
			return p, fmt.Errorf("table %q: shard %d has no available copy: %w", m.table, m.number[s], ErrAlreadyUnavailable)
		}
	}
	p.Keepers = m.track()
	p.Removable = p.Affected.Minus(p.Keepers)
	p.m = m
	return p, nil
}

// track is component 5, greedy set cover, on the sparse tracking matrix: row s
// has its zeros at the nodes of an available copy. zeros[v] is the number of
// zeros left in column v.
func (m *Model) track() Set {
	matrix := family{n: len(m.nodes), edges: m.rows.csr} // with rule any, row s is shard s
	column := matrix.inverse()
	zeros := make([]int32, len(m.nodes))
	for v := range zeros {
		zeros[v] = int32(len(column.row(v)))
	}
	covered := make([]bool, len(m.number))
	taken := newSet(len(m.nodes))
	most := int32(len(m.number)) // no column has more zeros than the one before
	for {
		best := 0
		for v, z := range zeros {
			if z > zeros[best] {
				best = v
			}
			if z == most {
				break
			}
		}
		if len(zeros) == 0 || zeros[best] == 0 {
			return taken
		}
		most = zeros[best]
		taken.add(best)
		for _, s := range column.row(best) {
			if covered[s] {
				continue
			}
			covered[s] = true
			for _, v := range m.rows.row(int(s)) {
				zeros[v]--
			}
		}
	}
}

// MinimalSubsets yields B ∪ nodes(s) for every shard s from the largest number
// down, without those that equal A: the table is unavailable in each.
// [reading] nodes(s) are the nodes of all replicas of s, available or not;
// duplicates are recorded once. The yielded set is borrowed.
func (p Published) MinimalSubsets() iter.Seq[Set] {
	return func(yield func(Set) bool) {
		if p.m == nil {
			return
		}
		order := make([]int, len(p.m.number))
		for s := range order {
			order[s] = s
		}
		slices.SortFunc(order, func(a, b int) int { return p.m.number[b] - p.m.number[a] })
		// B is in all of them, so what a shard adds to B tells them apart.
		seen := map[string]bool{}
		subset := p.Keepers.Clone()
		var added []int32
		var key []byte
		for _, s := range order {
			added, key = added[:0], key[:0]
			for _, v := range p.m.copies.row(s) {
				if !p.Keepers.Contains(int(v)) {
					added = append(added, v)
					key = binary.LittleEndian.AppendUint32(key, uint32(v))
				}
			}
			if len(added) == p.Removable.Len() || seen[string(key)] {
				continue
			}
			seen[string(key)] = true
			for _, v := range added {
				subset.add(int(v))
			}
			if !yield(subset) {
				return
			}
			for _, v := range added {
				subset.remove(int(v))
			}
		}
	}
}

// PowerSetSize is 2^|C|, and 0 if there is no B.
func (p Published) PowerSetSize() *big.Int {
	if p.m == nil {
		return new(big.Int)
	}
	return new(big.Int).Lsh(big.NewInt(1), uint(p.Removable.Len()))
}

// PowerSet yields every subset of C, by size, then lexicographically: fault
// sets that the table survives. It begins with ∅, the control case. There are
// 2^|C|; nothing is held in memory but the current one, which is borrowed.
func (p Published) PowerSet() iter.Seq[Set] {
	return func(yield func(Set) bool) {
		if p.m != nil {
			subsetsBySize(p.Removable, p.Removable.Len(), yield)
		}
	}
}

// PowerSetGray yields the same sets as [Published.PowerSet] in Gray-code
// order: neighbours differ in one node. It is the fastest way through them.
func (p Published) PowerSetGray() iter.Seq[Set] {
	return func(yield func(Set) bool) {
		if p.m != nil {
			graySubsets(p.Removable, yield)
		}
	}
}

// FaultFactors yields MinimalSubsets, then A, then the power set of C, each
// set once. The yielded set is borrowed.
func (p Published) FaultFactors() iter.Seq[Set] {
	return func(yield func(Set) bool) {
		if p.m == nil {
			return
		}
		for s := range p.MinimalSubsets() {
			if !yield(s) {
				return
			}
		}
		if !yield(p.Affected) {
			return
		}
		for s := range p.PowerSet() {
			// They meet only where B is empty: in a table without shards.
			if p.Keepers.IsEmpty() && s.Equal(p.Affected) {
				continue
			}
			if !yield(s) {
				return
			}
		}
	}
}
