package faultcalc

import (
	"cmp"
	"iter"
	"math"
	"slices"
)

// maxSorted is how many words of sets are held in memory to sort them.
const maxSorted = 1 << 22

// ordered yields the sets by size, then by probability, then
// lexicographically, if they fit into memory, else as they come.
func (m *Model) ordered(sets iter.Seq[Set]) iter.Seq[Set] {
	return func(yield func(Set) bool) {
		var kept []Set
		overflow := false
		for s := range sets {
			if !overflow {
				kept = append(kept, s.Clone())
				if overflow = len(kept)*(len(s.w)+4) > maxSorted; overflow {
					for _, k := range kept {
						if !yield(k) {
							return
						}
					}
				}
				continue
			}
			if !yield(s) {
				return
			}
		}
		if overflow {
			return
		}
		m.sortSets(kept)
		for _, k := range kept {
			if !yield(k) {
				return
			}
		}
	}
}

func (m *Model) sortSets(sets []Set) {
	type entry struct {
		s    Set
		size int
		odds float64
	}
	odds := m.logOdds()
	entries := make([]entry, len(sets))
	for i, s := range sets {
		e := entry{s: s, size: s.Len()}
		for v := range s.All() {
			e.odds += odds[v]
		}
		// Sums in another order differ in the last bits; that is not a difference.
		e.odds = math.Round(e.odds * 1e9)
		entries[i] = e
	}
	slices.SortFunc(entries, func(a, b entry) int {
		if c := cmp.Compare(a.size, b.size); c != 0 {
			return c
		}
		if c := cmp.Compare(b.odds, a.odds); c != 0 {
			return c
		}
		return a.s.Compare(b.s)
	})
	for i := range entries {
		sets[i] = entries[i].s
	}
}

// logOdds ranks sets by the probability that exactly they have failed, which
// is proportional to the product of the odds of their nodes.
func (m *Model) logOdds() []float64 {
	odds := make([]float64, len(m.nodes))
	for v, p := range m.probability {
		p = min(max(p, 1e-15), 1-1e-15)
		odds[v] = math.Log(p / (1 - p))
	}
	return odds
}

// byProbability yields the subsets of s with up to most members by size, then,
// as far as one size fits into memory, by probability.
func (m *Model) byProbability(s Set, most int) iter.Seq[Set] {
	return func(yield func(Set) bool) {
		elems := s.appendIndices(nil)
		for k := range min(most, len(elems)) + 1 {
			sets := func(yield func(Set) bool) { combinations(elems, k, newSet(len(m.nodes)), yield) }
			if m.equallyLikely() {
				more := true
				sets(func(s Set) bool {
					more = yield(s)
					return more
				})
				if !more {
					return
				}
				continue
			}
			for s := range m.ordered(sets) {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// survivableSets yields the maximal survivable sets by size, then by
// probability as far as one size fits into memory; where they have no catalog,
// as far as all fit.
func (m *Model) survivableSets() iter.Seq[Set] {
	bySize, ok := m.inOrder(true)
	if !ok || m.cuts().hasEmpty() {
		return m.ordered(m.MaximalSurvivableSets())
	}
	return func(yield func(Set) bool) {
		for sets := range bySize {
			if !m.equallyLikely() {
				sets = m.ordered(sets)
			}
			for s := range sets {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// equallyLikely says that order by probability is no order at all.
func (m *Model) equallyLikely() bool {
	for v := range m.affected.All() {
		if m.probability[v] != m.probability[m.firstAffected()] {
			return false
		}
	}
	return true
}

func (m *Model) firstAffected() int {
	for v := range m.affected.All() {
		return v
	}
	return -1
}
