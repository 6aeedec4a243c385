package faultcalc

import (
	"iter"
	"math"
	"slices"
)

// transversals yields every minimal transversal (minimal hitting set) of the
// family, in an order that depends on the family alone. The family {∅} has
// none; the empty family has the one transversal ∅.
//
// Components with up to 64 nodes go to wordEngine, others to sparseEngine.
func transversals(f *family) iter.Seq[Set] { return transversalsBy(f, 1) }

// transversalsBy yields the same in the same order, found by that many workers.
func transversalsBy(f *family, workers int) iter.Seq[Set] {
	return func(yield func(Set) bool) {
		if f.hasEmpty() {
			return
		}
		comps, forks := components(f), 0
		for _, comp := range comps {
			if len(comp) > 1 {
				forks++
			}
		}
		if forks < 2 { // the others are nodes that are in every set
			walk(f, comps, workers)(yield)
			return
		}
		p := newProduct(split(f), workers)
		p.yield = yield
		p.walkFrom(0)
	}
}

// sparseEngine is the state of one depth-first walk. Algorithm: MMCS of
// Murakami and Uno (arXiv 1102.3813), memory linear in the family. Per edge it
// keeps the number of chosen nodes that hit it and the XOR of their indices,
// which is the chosen node itself while there is only one; a step then costs
// the degree of one node, and a chosen node is redundant exactly when it is the
// only one of no edge.
type sparseEngine struct {
	f         *family
	edges, at csr // nodes of each edge, edges at each node

	hits    []int32 // per edge: chosen nodes in it
	hitter  []int32 // per edge: XOR of those nodes
	private []int32 // per chosen node: edges that only it hits
	open    []int32 // per edge: candidates in it
	cand    []bool  // per node: may still be chosen
	chosen  Set

	uncovered []int32 // edges without a chosen node, in any order
	where     []int32 // per edge: its position in uncovered

	trail []int32 // candidates taken away, to be given back
	steps int64   // a budget; negative when it is spent
	yield func(Set) bool

	most   int    // nodes in a set; 0 for any number
	degree int    // with most: the most edges at a node
	packed []bool // with most: scratch of fits

	give     func() bool // of a walk that is cut into tasks; see sparsetasks.go
	branches int         // the product of the branches above, when it is
}

func newSparseEngine(f *family) *sparseEngine {
	m := f.edges.len()
	e := &sparseEngine{
		f: f, edges: f.edges, at: f.inverse(),
		hits: make([]int32, m), hitter: make([]int32, m), open: make([]int32, m),
		private: make([]int32, f.n), cand: make([]bool, f.n), chosen: newSet(f.n),
		uncovered: make([]int32, m), where: make([]int32, m), steps: math.MaxInt64,
	}
	for i := range m {
		e.uncovered[i], e.where[i] = int32(i), int32(i)
		e.open[i] = int32(len(f.edges.row(i)))
	}
	for v := range e.cand {
		e.cand[v] = len(e.at.row(v)) > 0
	}
	return e
}

// run walks the subtree of the current state; it returns false when the
// consumer has had enough.
func (e *sparseEngine) run() bool {
	if e.give != nil && (len(e.uncovered) == 0 || e.branches >= manyTasks) {
		return e.give()
	}
	if len(e.uncovered) == 0 {
		return e.yield(e.chosen)
	}
	if e.steps--; e.steps < 0 {
		return false
	}
	branch := e.pick()
	if e.open[branch] == 0 || e.most > 0 && !e.fits() {
		return true
	}
	mark := len(e.trail)
	for _, v := range e.edges.row(int(branch)) {
		if e.cand[v] {
			e.drop(v)
		}
	}
	taken := e.trail[mark:]
	above, more := e.branches, true
	e.branches *= len(taken)
	for _, v := range taken {
		needed := e.choose(v)
		if needed {
			more = e.run()
		}
		e.unchoose(v)
		if !more {
			return false
		}
		// v is a candidate again for its later siblings, unless it makes a
		// chosen node redundant, which it then does below them too.
		if needed {
			e.restore(v)
		}
	}
	for _, v := range taken {
		if !e.cand[v] {
			e.restore(v)
		}
	}
	e.trail = e.trail[:mark]
	e.branches = above
	return true
}

// pick returns the first of the uncovered edges with the fewest candidates.
// One with none or one is as good as any: it ends the branch, or does not fork
// it. So the order of results does not depend on that of uncovered.
func (e *sparseEngine) pick() int32 {
	best := int64(math.MaxInt64) // candidates, then index
	for _, i := range e.uncovered {
		if best = min(best, int64(e.open[i])<<32|int64(i)); best < 2<<32 {
			break
		}
	}
	return int32(best)
}

// fits says whether the uncovered edges may be hit by as few nodes as are left:
// no node hits more than its degree, and edges without a common candidate take
// one each.
func (e *sparseEngine) fits() bool {
	if e.packed == nil {
		e.packed = make([]bool, e.f.n)
		for v := range e.f.n {
			e.degree = max(e.degree, len(e.at.row(v)))
		}
	}
	left := e.most - e.chosen.Len()
	if left*e.degree < len(e.uncovered) {
		return false
	}
	clear(e.packed)
	for _, i := range e.uncovered {
		row := e.edges.row(int(i))
		if slices.ContainsFunc(row, func(v int32) bool { return e.cand[v] && e.packed[v] }) {
			continue
		}
		if left--; left < 0 {
			return false
		}
		for _, v := range row {
			e.packed[v] = true
		}
	}
	return true
}

func (e *sparseEngine) drop(v int32) {
	e.cand[v] = false
	e.trail = append(e.trail, v)
	for _, i := range e.at.row(int(v)) {
		e.open[i]--
	}
}

func (e *sparseEngine) restore(v int32) {
	e.cand[v] = true
	for _, i := range e.at.row(int(v)) {
		e.open[i]++
	}
}

// choose adds v and says whether every chosen node is still needed.
func (e *sparseEngine) choose(v int32) bool {
	e.chosen.add(int(v))
	ok := true
	for _, i := range e.at.row(int(v)) {
		switch e.hits[i]++; e.hits[i] {
		case 1:
			e.private[v]++
			e.cover(i)
		case 2:
			u := e.hitter[i]
			if e.private[u]--; e.private[u] == 0 {
				ok = false
			}
		}
		e.hitter[i] ^= v
	}
	return ok
}

// unchoose reverses the latest choose.
func (e *sparseEngine) unchoose(v int32) {
	e.chosen.remove(int(v))
	for _, i := range e.at.row(int(v)) {
		e.hitter[i] ^= v
		switch e.hits[i]--; e.hits[i] {
		case 0:
			e.private[v]--
			e.uncover(i)
		case 1:
			e.private[e.hitter[i]]++
		}
	}
}

func (e *sparseEngine) cover(i int32) {
	last := e.uncovered[len(e.uncovered)-1]
	e.uncovered[e.where[i]], e.where[last] = last, e.where[i]
	e.uncovered = e.uncovered[:len(e.uncovered)-1]
}

func (e *sparseEngine) uncover(i int32) {
	e.where[i] = int32(len(e.uncovered))
	e.uncovered = append(e.uncovered, i)
}
