package faultcalc

import (
	"cmp"
	"iter"
	"math"
	"slices"
)

// PlanSpec says which fault sets a plan has. The zero value has none.
type PlanSpec struct {
	// Boundary asks for the minimal cut sets and the maximal survivable sets.
	// Availability is monotone, so that together they decide every one of the
	// 2^n fault sets.
	Boundary bool
	// Published asks for the fault factors of the published method. A table
	// that it is not defined for adds none; see [Model.Published].
	Published bool
	// MaxSize asks for all sets of affected nodes with 1 to MaxSize members,
	// and the control case, if it is above 0.
	MaxSize int
}

// Plan yields the fault sets that the spec asks for, each once, under the
// first class that has it: minimal cuts, maximal survivable sets, the
// published factors (minimal subsets, A, the power set of C), then the sets up
// to a size. Within a class they go by size, then by probability, then
// lexicographically; survivable sets are left in the order of the engine when
// there are too many to sort in memory.
//
// Nothing but that is held in memory: whether an earlier class has a set is
// decided, not looked up.
func (m *Model) Plan(spec PlanSpec) iter.Seq[FaultSet] {
	return func(yield func(FaultSet) bool) {
		p := &planner{m: m, spec: spec, yield: yield}
		if spec.Boundary && !p.boundary() {
			return
		}
		if spec.Published && !p.published() {
			return
		}
		if spec.MaxSize > 0 {
			p.upToSize()
		}
	}
}

type planner struct {
	m     *Model
	spec  PlanSpec
	yield func(FaultSet) bool
	pub   Published // set once the published factors are in the plan
	minor map[string]bool
}

func (p *planner) boundary() bool {
	m := p.m
	for s := range m.ordered(m.MinimalCutSets()) {
		if !p.yield(m.faultSet(s, ClassCut, "minimal cut: unavailable, and available again with any one of these nodes back")) {
			return false
		}
	}
	for s := range m.ordered(m.MaximalSurvivableSets()) {
		if !p.yield(m.faultSet(s, ClassSurvivable, "maximal survivable: available, and unavailable with any one further affected node down")) {
			return false
		}
	}
	return true
}

func (p *planner) published() bool {
	pub, err := p.m.Published()
	if err != nil {
		return true // documented: such a table has no published factors
	}
	p.pub, p.minor = pub, map[string]bool{}
	emit := func(s Set, class Class, why string) bool {
		if p.spec.Boundary && p.m.onBoundary(s) {
			return true
		}
		return p.yield(p.m.faultSet(s, class, why))
	}
	for s := range p.m.ordered(pub.MinimalSubsets()) {
		p.minor[s.key()] = true
		if !emit(s, ClassMinimalSubset, "published method: the keepers B and every copy of a shard") {
			return false
		}
	}
	if !emit(pub.Affected, ClassAffected, "published method: every affected node") {
		return false
	}
	for s := range pub.PowerSet() {
		if pub.Keepers.IsEmpty() && s.Equal(pub.Affected) {
			continue // a table without shards: A is ∅
		}
		if !emit(s, ClassPowerSet, "published method: part of the power set of C, the keepers B survive") {
			return false
		}
	}
	return true
}

// isPublished says whether the published factors in the plan have the set.
func (p *planner) isPublished(s Set) bool {
	return p.pub.m != nil && (s.SubsetOf(p.pub.Removable) || s.Equal(p.pub.Affected) || p.minor[s.key()])
}

func (p *planner) upToSize() bool {
	return subsetsBySize(p.m.affected, p.spec.MaxSize, func(s Set) bool {
		if p.spec.Boundary && p.m.onBoundary(s) || p.isPublished(s) {
			return true
		}
		return p.yield(p.m.faultSet(s, ClassKSubset, "one of all fault sets up to a size"))
	})
}

// onBoundary says whether a set of affected nodes is a minimal cut set or a
// maximal survivable set, in one pass over the rows: a cut is minimal if each
// of its nodes alone repairs every failing row; a survivable set is maximal if
// each remaining node breaks some row.
func (m *Model) onBoundary(failed Set) bool {
	r := &m.rows
	breaks := newSet(len(m.nodes))
	cut := false
	for row, need := range r.need {
		live, _ := r.survivors(row, failed)
		lo, hi := r.off[row], r.off[row+1]
		if live >= need {
			for i := lo; i < hi; i++ {
				if v := int(r.elem[i]); !failed.Contains(v) && live-r.weight[i] < need {
					breaks.add(v)
				}
			}
			continue
		}
		cut = true
		repairs := newSet(len(m.nodes))
		for i := lo; i < hi; i++ {
			if live+r.weight[i] >= need {
				repairs.add(int(r.elem[i]))
			}
		}
		if !failed.SubsetOf(repairs) {
			return false
		}
	}
	return cut || m.affected.Minus(failed).SubsetOf(breaks)
}

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
