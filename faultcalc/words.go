package faultcalc

import (
	"math"
	"math/bits"
)

// wordEngine walks through the minimal transversals of a connected family with
// up to 64 nodes, as sparseEngine does, but with sets of nodes as words and
// sets of edges as bitsets.
//
// It differs from MMCS in one point: at every step it first works out which
// candidates are forbidden, that is, hit every private edge of some chosen
// node. After that each candidate of the branching edge leads on, dead ends
// show at once, and those that hit all uncovered edges are results without a
// step of their own.
//
// What is forbidden is worked out for few chosen nodes: those that share an
// edge with the latest one, since the others have the private edges that they
// had before, and of them those that are loose. A chosen node is no longer so
// once all other nodes of a private edge are out for good.
type wordEngine struct {
	node   []int32  // the node of each bit
	edge   []uint64 // per edge its nodes
	inc    []uint64 // per node its edges, width words each
	width  int      // words of a set of edges
	sparse bool     // edges are small: few chosen nodes share one with another node

	uncovered, once []uint64                 // per depth: edges with no, with one chosen node
	lists           [][]uint64               // per depth, and one ahead: nodes of the uncovered edges
	steps           int64                    // a budget; negative when it is spent
	found, most     int64                    // results so far, and where counting ends
	emit            func(chosen uint64) bool // nil when sets are only counted

	// Of a walk that is cut into tasks; see wordtasks.go.
	give     func() bool
	branches []int // per depth: the product of the branches above
	at       wordState
}

// newWordEngine returns nil if the family has more than 64 nodes in its edges.
func newWordEngine(f *family) *wordEngine { return wordEngineOf(f, components(f)) }

func wordEngineOf(f *family, comps [][]int32) *wordEngine {
	e := &wordEngine{}
	bit := make(map[int32]int)
	for _, comp := range comps {
		for _, v := range comp {
			bit[v] = len(e.node)
			e.node = append(e.node, v)
		}
	}
	if len(e.node) > 64 {
		return nil
	}
	m := f.edges.len()
	e.width = max((m+63)/64, 1)
	e.edge = make([]uint64, m)
	e.inc = make([]uint64, len(e.node)*e.width)
	for i := range m {
		for _, v := range f.edges.row(i) {
			b := bit[v]
			e.edge[i] |= 1 << b
			e.inc[b*e.width+i>>6] |= 1 << (i & 63)
		}
	}
	e.uncovered = make([]uint64, (len(e.node)+1)*e.width)
	e.once = make([]uint64, (len(e.node)+1)*e.width)
	for i := range m {
		e.uncovered[i>>6] |= 1 << (i & 63)
	}
	if e.width > 1 {
		e.lists = make([][]uint64, len(e.node)+2)
		e.lists[0] = append(e.lists[0], e.edge...)
	}
	e.sparse = 8*len(f.edges.elem) <= m*len(e.node)
	e.steps, e.most = math.MaxInt64, math.MaxInt64
	return e
}

// all is the set of all nodes.
func (e *wordEngine) all() uint64 {
	if len(e.node) == 64 {
		return ^uint64(0)
	}
	return 1<<len(e.node) - 1
}

// start walks through everything.
func (e *wordEngine) start() {
	switch {
	case len(e.edge) == 0:
		e.leaf(0, 1)
	case e.width == 1:
		e.walk1(e.all(), 0, 0, 0, e.uncovered[0], e.once[0])
	default:
		e.walk(e.all(), 0, 0, 0, 0, 0)
	}
}

// leaf reports chosen together with each of the nodes in turn; as a special
// case of no node at all, it is called with chosen ∅ and one.
func (e *wordEngine) leaf(chosen, nodes uint64) bool {
	if e.give != nil {
		return e.cut(wordState{chosen: chosen, leaves: nodes})
	}
	if e.emit == nil {
		e.found += int64(bits.OnesCount64(nodes))
		return e.found <= e.most
	}
	for ; nodes != 0; nodes &= nodes - 1 {
		e.found++
		set := chosen | nodes&-nodes
		if len(e.edge) == 0 {
			set = chosen
		}
		if !e.emit(set) {
			return false
		}
	}
	return true
}

// walk1 is walk for up to 64 edges, with everything in registers.
func (e *wordEngine) walk1(cand, chosen, loose, touched, uncovered, once uint64) bool {
	if e.steps--; e.steps < 0 {
		return false
	}
	if e.give != nil {
		depth := bits.OnesCount64(chosen)
		e.uncovered[depth], e.once[depth] = uncovered, once
		if e.branches[depth] >= manyTasks {
			return e.cut(wordState{cand: cand, chosen: chosen, loose: loose, touched: touched})
		}
	}
	edge, inc := e.edge, e.inc
	forbidden := uint64(0)
	for c := touched; c != 0; c &= c - 1 {
		d := cand
		for p := once & inc[bits.TrailingZeros64(c)]; p != 0 && d != 0; p &= p - 1 {
			x := edge[bits.TrailingZeros64(p)] & cand
			d &= x
			if x == 0 {
				loose &^= c & -c
			}
		}
		forbidden |= d
	}
	cand &^= forbidden
	last, branch, fewest := cand, uint64(0), 65
	for p := uncovered; p != 0; p &= p - 1 {
		x := edge[bits.TrailingZeros64(p)] & cand
		last &= x
		if n := bits.OnesCount64(x); n < fewest {
			if n == 0 {
				return true
			}
			branch, fewest = x, n
		}
	}
	if last != 0 && !e.leaf(chosen, last) {
		return false
	}
	cand = cand&^branch | last
	if branch &^= last; e.give != nil {
		e.fork(bits.OnesCount64(chosen), branch)
	}
	for c := branch; c != 0; c &= c - 1 {
		v := c & -c
		at := inc[bits.TrailingZeros64(c)]
		touched := uint64(0)
		for p := once & at; p != 0; p &= p - 1 {
			touched |= edge[bits.TrailingZeros64(p)]
		}
		if !e.walk1(cand, chosen|v, loose|v, touched&loose|v, uncovered&^at, once&^at|uncovered&at) {
			return false
		}
		cand |= v
	}
	return true
}

// walk reads its sets of edges at the given depth and writes those of its
// children one deeper. The nodes of the uncovered edges are kept as a list as
// well, of which v, the node chosen last, has yet to strike its own.
func (e *wordEngine) walk(cand, chosen, loose, touched, v uint64, depth int) bool {
	if e.steps--; e.steps < 0 {
		return false
	}
	w := e.width
	uncovered, once := e.uncovered[depth*w:(depth+1)*w], e.once[depth*w:(depth+1)*w]
	if e.give != nil && e.branches[depth] >= manyTasks {
		return e.cut(wordState{cand: cand, chosen: chosen, loose: loose, touched: touched, v: v})
	}
	f, safe := e.forbidden(cand, touched, once)
	cand &^= f
	loose &^= safe
	last, branch, fewest := cand, uint64(0), 65
	before, list := e.lists[depth], e.lists[depth+1][:0]
	for _, x := range before {
		if x&v != 0 {
			continue
		}
		list = append(list, x)
		x &= cand
		last &= x
		if n := bits.OnesCount64(x); n < fewest {
			if n == 0 {
				return true
			}
			branch, fewest = x, n
		}
	}
	e.lists[depth+1] = list
	if last != 0 && !e.leaf(chosen, last) {
		return false
	}
	cand = cand&^branch | last
	if branch &^= last; e.give != nil {
		e.fork(depth, branch)
	}
	childUncovered, childOnce := e.uncovered[(depth+1)*w:(depth+2)*w], e.once[(depth+1)*w:(depth+2)*w]
	for c := branch; c != 0; c &= c - 1 {
		b := bits.TrailingZeros64(c)
		at := e.inc[b*w : (b+1)*w]
		touched := loose
		if e.sparse {
			touched &= e.sharing(at, once)
		}
		for k, a := range at {
			u := uncovered[k]
			childUncovered[k] = u &^ a
			childOnce[k] = once[k]&^a | u&a
		}
		if !e.walk(cand, chosen|1<<b, loose|1<<b, touched|1<<b, 1<<b, depth+1) {
			return false
		}
		cand |= 1 << b
	}
	return true
}

// sharing returns the nodes of those edges that are in both sets.
func (e *wordEngine) sharing(at, once []uint64) uint64 {
	nodes := uint64(0)
	for k, a := range at {
		edges := e.edge[k<<6:]
		for p := once[k] & a; p != 0; p &= p - 1 {
			nodes |= edges[bits.TrailingZeros64(p)]
		}
	}
	return nodes
}

// forbidden returns the candidates that would leave one of the touched nodes
// without a private edge, and nodes that no candidate can do that to.
func (e *wordEngine) forbidden(cand, touched uint64, once []uint64) (f, safe uint64) {
	for c := touched; c != 0; c &= c - 1 {
		v := bits.TrailingZeros64(c)
		at := e.inc[v*e.width : (v+1)*e.width]
		d := cand &^ f
	private:
		for k, word := range once {
			edges := e.edge[k<<6:]
			for p := word & at[k]; p != 0; p &= p - 1 {
				x := edges[bits.TrailingZeros64(p)] & cand
				if d &= x; d == 0 {
					if x == 0 {
						safe |= c & -c
					}
					break private
				}
			}
		}
		f |= d
	}
	return f, safe
}
