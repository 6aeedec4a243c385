package faultcalc

import (
	"math/bits"
	"slices"
)

// wordState is where a walk is; the sets of edges and the list at its depth,
// which is the number of chosen nodes, belong to it.
type wordState struct {
	cand, chosen, loose, touched, v uint64
	leaves                          uint64 // not 0: no subtree, but chosen with each of these
}

// clone returns an engine at the start, with state of its own, over the same
// family; e is at the start itself.
func (e *wordEngine) clone() *wordEngine {
	c := *e
	c.uncovered, c.once = slices.Clone(e.uncovered), slices.Clone(e.once)
	c.lists = make([][]uint64, len(e.lists))
	if len(c.lists) > 0 {
		c.lists[0] = slices.Clone(e.lists[0])
	}
	return &c
}

func (e *wordEngine) top(give func() bool) {
	e.give = give
	e.branches = make([]int, len(e.node)+1)
	e.branches[0] = 1
	e.start()
}

// cut leaves a subtree, or leaves, to others.
func (e *wordEngine) cut(at wordState) bool {
	e.at = at
	return e.give()
}

// fork notes how many branches a subtree has.
func (e *wordEngine) fork(depth int, branch uint64) {
	e.branches[min(depth+1, len(e.node))] = e.branches[depth] * bits.OnesCount64(branch)
}

func (e *wordEngine) load(at *wordEngine) {
	e.at = at.at
	depth := bits.OnesCount64(e.at.chosen)
	from, to := depth*e.width, (depth+1)*e.width
	copy(e.uncovered[from:to], at.uncovered[from:to])
	copy(e.once[from:to], at.once[from:to])
	if e.width > 1 {
		e.lists[depth] = append(e.lists[depth][:0], at.lists[depth]...)
	}
}

func (e *wordEngine) finish(to *lane, most int64) (int64, bool) {
	e.found, e.most, e.emit = 0, most, nil
	if to != nil {
		e.emit = func(chosen uint64) bool { return to.put(chosen) }
	}
	s, more := &e.at, false
	switch depth := bits.OnesCount64(s.chosen); {
	case s.leaves != 0:
		more = e.leaf(s.chosen, s.leaves)
	case e.width == 1:
		more = e.walk1(s.cand, s.chosen, s.loose, s.touched, e.uncovered[depth], e.once[depth])
	default:
		more = e.walk(s.cand, s.chosen, s.loose, s.touched, s.v, depth)
	}
	return e.found, more
}

// walkAll yields every minimal transversal as a borrowed set of n nodes.
func (e *wordEngine) walkAll(n, workers int, yield func(Set) bool) {
	set := newSet(n)
	before := uint64(0)
	emit := func(chosen uint64) bool {
		for d := chosen ^ before; d != 0; d &= d - 1 {
			v := e.node[bits.TrailingZeros64(d)]
			set.w[v>>6] ^= 1 << (v & 63)
		}
		before = chosen
		return yield(set)
	}
	if workers < 2 {
		c := e.clone()
		c.emit = emit
		c.start()
		return
	}
	inOrder(e, workers, func(words []uint64) bool {
		for _, chosen := range words {
			if !emit(chosen) {
				return false
			}
		}
		return true
	})
}
