package faultcalc

import (
	"math/big"
	"slices"
)

// bddBudget is the default number of diagram nodes (some 100 MB at most).
const bddBudget = 1 << 21

// bdd is a reduced, ordered binary decision diagram. Node 0 is false, node 1
// is true; children are always made before their parents.
type bdd struct {
	level  []int32 // variables are numbered by level; terminals have level vars
	lo, hi []int32
	vars   int32
	budget int

	unique map[[3]int32]int32
}

func newBDD(vars, budget int) *bdd {
	v := int32(vars)
	return &bdd{
		level: []int32{v, v}, lo: []int32{0, 1}, hi: []int32{0, 1},
		vars: v, budget: budget, unique: map[[3]int32]int32{},
	}
}

func (b *bdd) node(level, lo, hi int32) int32 {
	if lo == hi {
		return lo
	}
	key := [3]int32{level, lo, hi}
	if n, ok := b.unique[key]; ok {
		return n
	}
	n := int32(len(b.level))
	b.level, b.lo, b.hi = append(b.level, level), append(b.lo, lo), append(b.hi, hi)
	b.unique[key] = n
	return n
}

// hittingSets builds the diagram of all hitting sets of the family, the
// monotone function "every edge has a chosen node". levelOf gives each node of
// the family its level.
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
		memo := map[[2]int32]int32{}
		root = b.conjoin(root, c, 0, memo)
		if len(b.level) > budget {
			return nil, 0, ErrTooLarge
		}
	}
	return b, root, nil
}

// conjoin returns f AND (c[i] OR c[i+1] OR ...).
func (b *bdd) conjoin(f int32, c []int32, i int32, memo map[[2]int32]int32) int32 {
	if f == 0 || int(i) == len(c) || len(b.level) > b.budget {
		return 0
	}
	key := [2]int32{f, i}
	if n, ok := memo[key]; ok {
		return n
	}
	var n int32
	switch l := b.level[f]; {
	case l < c[i]:
		lo := b.conjoin(b.lo[f], c, i, memo)
		n = b.node(l, lo, b.conjoin(b.hi[f], c, i, memo))
	case l == c[i]:
		n = b.node(l, b.conjoin(b.lo[f], c, i+1, memo), b.hi[f])
	default:
		n = b.node(c[i], b.conjoin(f, c, i+1, memo), f)
	}
	memo[key] = n
	return n
}

// count is the number of assignments of all variables that satisfy root.
func (b *bdd) count(root int32) *big.Int {
	reached := b.reachable(root)
	counts := make([]*big.Int, len(b.level))
	counts[0], counts[1] = new(big.Int), big.NewInt(1)
	for _, n := range reached {
		c := new(big.Int).Lsh(counts[b.lo[n]], b.skipped(n, b.lo[n]))
		t := new(big.Int).Lsh(counts[b.hi[n]], b.skipped(n, b.hi[n]))
		counts[n] = c.Add(c, t)
	}
	return new(big.Int).Lsh(counts[root], uint(b.level[root]))
}

// skipped is the number of levels strictly between a node and its child.
func (b *bdd) skipped(n, child int32) uint { return uint(b.level[child] - b.level[n] - 1) }

// reachable lists the inner nodes below root, children before parents.
func (b *bdd) reachable(root int32) []int32 {
	seen := make([]bool, len(b.level))
	seen[root] = true
	var nodes []int32
	for n := root; n > 1; n-- {
		if seen[n] {
			seen[b.lo[n]], seen[b.hi[n]] = true, true
			nodes = append(nodes, n)
		}
	}
	slices.Reverse(nodes)
	return nodes
}

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
