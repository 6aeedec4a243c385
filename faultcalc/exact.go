package faultcalc

import "iter"

// MinimalKeeperSets yields every inclusion-minimal set of nodes that keeps the
// table available if it survives, whatever else fails: the minimal
// transversals of the minimal cut sets. None if the table is already
// unavailable; the one set ∅ if it has no shards.
//
// Their number can be exponential in the nodes. Memory stays linear in the
// topology while they are streamed, but for short lists of the sets of connected
// parts of the cuts, of which the sets of the whole are unions. The order is deterministic, but not
// sorted; [Model.FirstKeeperSets] sorts. The yielded set is borrowed; see [Set].
func (m *Model) MinimalKeeperSets() iter.Seq[Set] { return transversals(m.cuts()) }

// MinimalKeeperSetsParallel yields the same sets in the same order as
// [Model.MinimalKeeperSets], found by that many workers. Memory stays flat: no
// worker runs far ahead of the consumer. When the consumer stops early, the
// workers have ended before the loop does.
func (m *Model) MinimalKeeperSetsParallel(workers int) iter.Seq[Set] {
	return transversalsBy(m.cuts(), workers)
}

// MaximalSurvivableSets yields every inclusion-maximal set of affected nodes
// whose failure leaves the table available: the complements, within
// [Model.Affected], of the minimal keeper sets, in the same order and with the
// same limits. Affected nodes that are in no cut are in all of them.
func (m *Model) MaximalSurvivableSets() iter.Seq[Set] {
	return func(yield func(Set) bool) {
		rest := newSet(len(m.nodes))
		for keepers := range m.MinimalKeeperSets() {
			m.complement(keepers, rest)
			if !yield(rest) {
				return
			}
		}
	}
}

// FirstKeeperSets yields the minimal keeper sets by size, then
// lexicographically, and ends after that many; 0 means no end. However many
// there are, those that come first come without a walk through the others,
// where every connected part of the cuts has few sets or much structure.
//
// Elsewhere, within a bound on work and memory, all sets are walked through,
// or those up to a size. Where that does not do, an error that wraps
// [ErrCutShort] comes last, and says what is certain about the sets before it.
//
// The yielded sets are borrowed; see [Set].
func (m *Model) FirstKeeperSets(most int) iter.Seq2[Set, error] {
	return func(yield func(Set, error) bool) { m.first(most, false, yield) }
}

// FirstSurvivableSets yields the maximal survivable sets likewise. They are
// harder to find than keeper sets where there is neither a short list nor
// structure: the smallest of them leave the largest keeper sets, and nothing
// bounds the size of a minimal set from above as disjoint cuts do from below.
func (m *Model) FirstSurvivableSets(most int) iter.Seq2[Set, error] {
	return func(yield func(Set, error) bool) { m.first(most, true, yield) }
}

func (m *Model) first(most int, survivable bool, yield func(Set, error) bool) {
	if m.cuts().hasEmpty() {
		return
	}
	bySize, ok := m.inOrder(survivable)
	if !ok {
		sets, err := m.firstByWalk(most, survivable)
		for _, s := range sets {
			if !yield(s, nil) {
				return
			}
		}
		if err != nil {
			yield(Set{}, err)
		}
		return
	}
	n := 0
	for sets := range bySize {
		for s := range sets {
			if n++; !yield(s, nil) || n == most {
				return
			}
		}
	}
}

// inOrder yields, for each size there is, the minimal keeper sets of that size
// in lexicographic order, or the maximal survivable sets, if there is a catalog.
func (m *Model) inOrder(survivable bool) (bySize iter.Seq[iter.Seq[Set]], ok bool) {
	m.catalogOnce.Do(func() { m.catalog = newCatalog(m.cuts()) })
	switch {
	case m.catalog == nil:
		return nil, false
	case !survivable:
		return m.catalog.bySize(false), true
	}
	rest := newSet(len(m.nodes))
	return func(yield func(iter.Seq[Set]) bool) {
		for keepers := range m.catalog.bySize(true) {
			facets := func(yield func(Set) bool) {
				for s := range keepers {
					if m.complement(s, rest); !yield(rest) {
						return
					}
				}
			}
			if !yield(facets) {
				return
			}
		}
	}, true
}

// complement makes rest the affected nodes that are not in s.
func (m *Model) complement(s, rest Set) {
	for i, w := range m.affected.w {
		rest.w[i] = w &^ s.word(i)
	}
}

// SinglePointsOfFailure returns the nodes that take the table down alone; none
// if it is already unavailable.
func (m *Model) SinglePointsOfFailure() Set {
	s := newSet(len(m.nodes))
	for cut := range m.MinimalCutSets() {
		if cut.Len() == 1 {
			for i := range cut.All() {
				s.add(i)
			}
		}
	}
	return s
}
