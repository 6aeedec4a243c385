package faultcalc

import (
	"fmt"
	"iter"
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
	// Domains are label keys: each asks for every failure domain of that
	// label, with all the affected nodes in it. There are none at a level that
	// is itself a label.
	Domains []string
	// MaxSize asks for all sets of affected nodes with 1 to MaxSize members,
	// and the control case, if it is above 0.
	MaxSize int
	// TWay asks for a covering array of that strength: every TWay affected
	// nodes are seen in all their 2^TWay combinations of up and down.
	TWay int

	// Collapse keeps one set of every orbit: nodes with the same role in the
	// same shards, the same probability and the same labels can stand for each
	// other. The sets left say how many they stand for.
	Collapse bool
	// Parts splits the plan into that many disjoint parts, by position modulo
	// Parts, and keeps number Part, counted from 0. Below 2 there is no split.
	Parts, Part int
	// After resumes: everything up to the set with this ID is left out. An ID
	// that is not in the plan leaves out all of it.
	After string
	// MaxCases ends the plan after that many sets; 0 means no end.
	MaxCases int
}

// Plan yields the fault sets that the spec asks for, each once, under the
// first class that has it: minimal cuts, maximal survivable sets, the
// published factors (minimal subsets, A, the power set of C), failure domains,
// the sets up to a size, then t-way. Within a class they go by size, then by
// probability, then lexicographically; survivable sets are left in the order
// of the engine when there are too many to sort in memory, and too little
// structure for [Model.FirstSurvivableSets] to sort them without.
//
// Only short lists are held in memory: whether an earlier class has a set is
// decided, not looked up.
func (m *Model) Plan(spec PlanSpec) iter.Seq[FaultSet] {
	return func(yield func(FaultSet) bool) {
		p := &planner{m: m, spec: spec, yield: yield, listed: map[string]bool{}, resumed: spec.After == ""}
		if spec.Collapse {
			p.classes = m.swapClasses()
		}
		_ = (!spec.Boundary || p.boundary()) &&
			(!spec.Published || p.published()) &&
			p.domains() &&
			(spec.MaxSize <= 0 || p.upToSize()) &&
			p.tWay()
	}
}

// planner is one walk through a plan. Its methods return false once the
// consumer, or the budget, has had enough.
type planner struct {
	m       *Model
	spec    PlanSpec
	yield   func(FaultSet) bool
	classes *swapClasses // nil unless symmetric sets are collapsed

	power   *Set            // C, once its power set is in the plan
	listed  map[string]bool // representatives of the short lists in the plan
	sized   bool            // all sets up to MaxSize are in the plan
	resumed bool
	at      int // position in the whole plan
	emitted int
}

// emit puts a set into the plan unless an earlier class has it.
func (p *planner) emit(s Set, class Class, why string) bool {
	if class != ClassCut && class != ClassSurvivable && p.spec.Boundary && p.m.onBoundary(s) {
		return true
	}
	rep := p.classes.canonical(s)
	switch class {
	case ClassCut, ClassSurvivable, ClassControl:
		if !rep.Equal(s) {
			return true // its representative is in the same list
		}
	case ClassKSubset:
		if !rep.Equal(s) || p.earlier(rep) {
			return true
		}
	case ClassPowerSet:
		if !p.classes.canonicalWithin(s, *p.power) || p.listed[rep.key()] {
			return true
		}
	case ClassMinimalSubset, ClassAffected, ClassDomain, ClassTWay:
		if p.earlier(rep) {
			return true
		}
		p.listed[rep.key()] = true
	}
	return p.pass(s, class, why)
}

// earlier says whether the plan has a set of the same orbit already.
func (p *planner) earlier(rep Set) bool {
	return p.listed[rep.key()] ||
		p.power != nil && p.classes.fitsInto(rep, *p.power) ||
		p.sized && rep.Len() <= p.spec.MaxSize
}

// pass applies the split, the resumption and the budget.
func (p *planner) pass(s Set, class Class, why string) bool {
	mine := p.spec.Parts < 2 || p.at%p.spec.Parts == p.spec.Part
	p.at++
	if !p.resumed {
		p.resumed = p.m.ID(s) == p.spec.After
		return true
	}
	if !mine {
		return true
	}
	f := p.m.faultSet(s, class, why)
	if p.classes != nil {
		f.Orbit = p.classes.orbit(s).String()
	}
	p.emitted++
	return p.yield(f) && p.emitted != p.spec.MaxCases
}

func (p *planner) boundary() bool {
	m := p.m
	for s := range m.ordered(m.MinimalCutSets()) {
		if !p.emit(s, ClassCut, "minimal cut: unavailable, and available again with any one of these nodes back") {
			return false
		}
	}
	for s := range m.survivableSets() {
		if !p.emit(s, ClassSurvivable, "maximal survivable: available, and unavailable with any one further affected node down") {
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
	for s := range p.m.ordered(pub.MinimalSubsets()) {
		if !p.emit(s, ClassMinimalSubset, "published method: the keepers B and every copy of a shard") {
			return false
		}
	}
	if !p.emit(pub.Affected, ClassAffected, "published method: every affected node") {
		return false
	}
	p.power = &pub.Removable
	for s := range pub.PowerSet() {
		if !p.emit(s, ClassPowerSet, "published method: part of the power set of C, the keepers B survive") {
			return false
		}
	}
	return true
}

func (p *planner) domains() bool {
	for _, label := range p.spec.Domains {
		for _, d := range p.m.domainsOf(label) {
			if !p.emit(d.nodes, ClassDomain, fmt.Sprintf("every affected node with %s %s", label, d.value)) {
				return false
			}
		}
	}
	return true
}

func (p *planner) upToSize() bool {
	for s := range p.m.byProbability(p.m.affected, p.spec.MaxSize) {
		if !p.emit(s, ClassKSubset, fmt.Sprintf("one of all fault sets with up to %d nodes", p.spec.MaxSize)) {
			return false
		}
	}
	p.sized = true
	return true
}

func (p *planner) tWay() bool {
	t := min(p.spec.TWay, p.m.nAffected)
	if t <= 0 {
		return true
	}
	for s := range p.m.ordered(p.m.coveringArray(t)) {
		if !p.emit(s, ClassTWay, fmt.Sprintf("part of a covering array: any %d nodes in all combinations of up and down", t)) {
			return false
		}
	}
	return true
}

// onBoundary says whether a set of affected nodes is a minimal cut set, which
// serves again with any of its nodes back, or a maximal survivable set, which
// every remaining affected node would make unavailable.
func (m *Model) onBoundary(failed Set) bool {
	switch m.Availability(failed) {
	case Unavailable:
		smaller := failed.Clone()
		for v := range failed.All() {
			smaller.remove(v)
			if m.Availability(smaller) == Unavailable {
				return false
			}
			smaller.add(v)
		}
		return true
	case Redundant:
		return m.affected.SubsetOf(failed)
	case NoBackup:
	}
	// One pass over the rows instead of one question per remaining node.
	r := &m.rows
	breaks := failed.Clone()
	for row, need := range r.need {
		live, heaviest := r.survivors(row, failed)
		if live-heaviest >= need {
			continue
		}
		for i := r.off[row]; i < r.off[row+1]; i++ {
			if v := int(r.elem[i]); !failed.Contains(v) && live-r.weight[i] < need {
				breaks.add(v)
			}
		}
	}
	return m.affected.SubsetOf(breaks)
}
