package faultcalc

import "iter"

// MinimalKeeperSets yields every inclusion-minimal set of nodes that keeps the
// table available if it survives, whatever else fails: the minimal
// transversals of the minimal cut sets. None if the table is already
// unavailable; the one set ∅ if it has no shards.
//
// Their number can be exponential in the nodes. Memory stays linear in the
// topology while they are streamed. The order is deterministic, but not
// sorted. The yielded set is borrowed; see [Set].
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
			for i, w := range m.affected.w {
				rest.w[i] = w &^ keepers.word(i)
			}
			if !yield(rest) {
				return
			}
		}
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
