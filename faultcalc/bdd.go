package faultcalc

import (
	"math/big"
	"slices"
)

// bddBudget is the default number of diagram nodes (some 100 MB at most).
const bddBudget = 1 << 21

// bdd is a reduced, ordered binary decision diagram: node 0 is false, 1 true.
// Variables are numbered by level.
type bdd struct {
	nodes
	budget int
	done   *memo
}

func newBDD(vars, budget int) *bdd {
	return &bdd{nodes: newNodes(vars), budget: budget, done: newMemo()}
}

func (b *bdd) node(level, lo, hi int32) int32 {
	if lo == hi {
		return lo
	}
	return b.make(level, lo, hi)
}

// hittingSets builds the diagram of all hitting sets of the family, the
// monotone function "every edge has a chosen node". levelOf gives each node of
// the family its level. The error is ErrTooLarge.
//
// Clauses are added from the deepest first level upwards, so that each one
// only touches the part of the diagram between its own first and last level.
func hittingSets(f *family, levelOf []int32, vars, budget int) (*bdd, int32, error) {
	clauses := make([][]int32, f.edges.len())
	flat := make([]int32, len(f.edges.elem))
	for e := range clauses {
		row := flat[f.edges.off[e]:f.edges.off[e+1]]
		for i, v := range f.edges.row(e) {
			row[i] = levelOf[v]
		}
		slices.Sort(row)
		clauses[e] = row
	}
	slices.SortFunc(clauses, func(a, b []int32) int { return slices.Compare(b, a) })
	b := newBDD(vars, budget)
	root := int32(1)
	for _, c := range clauses {
		b.done.reset()
		root = b.conjoin(root, c, 0)
		if len(b.level) > budget {
			return nil, 0, ErrTooLarge
		}
	}
	return b, root, nil
}

// conjoin returns f AND (c[i] OR c[i+1] OR ...).
func (b *bdd) conjoin(f int32, c []int32, i int32) int32 {
	if f == 0 || int(i) == len(c) || len(b.level) > b.budget {
		return 0
	}
	if f == 1 {
		return b.clause(c[i:])
	}
	if n, ok := b.done.get(f, i); ok {
		return n
	}
	var n int32
	switch l := b.level[f]; {
	case l < c[i]:
		lo := b.conjoin(b.lo[f], c, i)
		n = b.node(l, lo, b.conjoin(b.hi[f], c, i))
	case l == c[i]:
		n = b.node(l, b.conjoin(b.lo[f], c, i+1), b.hi[f])
	default:
		n = b.node(c[i], b.conjoin(f, c, i+1), f)
	}
	b.done.put(f, i, n)
	return n
}

func (b *bdd) clause(c []int32) int32 {
	n := int32(0)
	for i := len(c) - 1; i >= 0; i-- {
		n = b.node(c[i], n, 1)
	}
	return n
}

// count is the number of assignments of all variables that satisfy root.
func (b *bdd) count(root int32) *big.Int {
	counts := make([]*big.Int, len(b.level))
	counts[0], counts[1] = new(big.Int), big.NewInt(1)
	for _, n := range b.reachable(root) {
		c := new(big.Int).Lsh(counts[b.lo[n]], b.skipped(n, b.lo[n]))
		t := new(big.Int).Lsh(counts[b.hi[n]], b.skipped(n, b.hi[n]))
		counts[n] = c.Add(c, t)
	}
	return new(big.Int).Lsh(counts[root], uint(b.level[root]))
}

// skipped is the number of levels strictly between a node and its child.
func (b *bdd) skipped(n, child int32) uint { return uint(b.level[child] - b.level[n] - 1) }

// countHitting counts the subsets of the universe that hit every edge. Nodes
// of the universe in no edge are free; edges lie within the universe.
func countHitting(f *family, universe, budget int) (*big.Int, error) {
	if f.hasEmpty() {
		return new(big.Int), nil
	}
	levelOf, nodeAt := levels(f)
	vars := len(nodeAt)
	b, root, err := hittingSets(f, levelOf, vars, budget)
	if err != nil {
		return nil, err
	}
	c := b.count(root)
	return c.Lsh(c, uint(universe-vars)), nil
}
