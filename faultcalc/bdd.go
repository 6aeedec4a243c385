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
// The edges first become a zero-suppressed diagram; its parts that edges have
// in common are then dealt with once (Toda): with the variable of a node
// chosen, what is left to hit are the edges without it; else all of them.
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
	slices.SortFunc(clauses, slices.Compare[[]int32])
	z := newNodes(vars)
	edges := z.trie(clauses, 0)
	b := newBDD(vars, budget)
	hit := make([]int32, len(z.level))
	hit[0], hit[1] = 1, 0
	for _, n := range z.reachable(edges) {
		hit[n] = b.node(z.level[n], b.and(hit[z.lo[n]], hit[z.hi[n]]), hit[z.lo[n]])
		if b.full() {
			return nil, 0, ErrTooLarge
		}
	}
	return b, hit[edges], nil
}

// full says that the budget is spent; results are worthless from then on.
func (b *bdd) full() bool { return len(b.level) > b.budget || b.done.used > 4*b.budget }

// trie makes a family of sorted sets into a zero-suppressed diagram, from
// position pos of its sets on. Sets that have another as a prefix are dropped:
// what hits that one hits them.
func (n *nodes) trie(sets [][]int32, pos int) int32 {
	if len(sets) > 0 && len(sets[0]) == pos {
		return 1
	}
	if len(sets) == 1 {
		r := int32(1)
		for i := len(sets[0]) - 1; i >= pos; i-- {
			r = n.make(sets[0][i], 0, r)
		}
		return r
	}
	r := int32(0)
	for end := len(sets); end > 0; {
		level := sets[end-1][pos]
		from := end - 1
		for from > 0 && sets[from-1][pos] == level {
			from--
		}
		r = n.make(level, r, n.trie(sets[from:end], pos+1))
		end = from
	}
	return r
}

// and returns the conjunction of two functions.
func (b *bdd) and(f, g int32) int32 {
	switch {
	case f > g:
		f, g = g, f
	case f == g:
		return f
	}
	if f == 0 || b.full() {
		return 0
	}
	if f == 1 {
		return g
	}
	if n, ok := b.done.get(f, g); ok {
		return n
	}
	var n int32
	switch lf, lg := b.level[f], b.level[g]; {
	case lf < lg:
		lo := b.and(b.lo[f], g)
		n = b.node(lf, lo, b.and(b.hi[f], g))
	case lf > lg:
		lo := b.and(f, b.lo[g])
		n = b.node(lg, lo, b.and(f, b.hi[g]))
	default:
		lo := b.and(b.lo[f], b.lo[g])
		n = b.node(lf, lo, b.and(b.hi[f], b.hi[g]))
	}
	b.done.put(f, g, n)
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

// diagram is the hitting sets of one connected family, in some order.
type diagram struct {
	*bdd
	root   int32
	nodeAt []int32 // the node of each level
}

// newDiagram tries the order of the topology, which suits most made-up and many
// real placements, and a greedy one; both with little memory first. The error
// is ErrTooLarge.
func newDiagram(f *family, budget int) (*diagram, error) {
	const little = 1 << 13
	inv := f.inverse()
	var plain []int32
	for _, comp := range components(f) {
		plain = append(plain, comp...)
	}
	if d, err := ordered(f, plain, min(budget, little)); err == nil || budget <= little {
		return d, err
	}
	var greedy []int32
	for _, comp := range components(f) {
		greedy = append(greedy, frontierOrder(f, &inv, comp)...)
	}
	tries := [][]int32{greedy, plain}
	if spanCost(f, &inv, plain) < spanCost(f, &inv, greedy) {
		tries = [][]int32{plain, greedy}
	}
	for _, order := range tries {
		if d, err := ordered(f, order, budget); err == nil {
			return d, nil
		}
	}
	return nil, ErrTooLarge
}

// ordered builds the diagram in one order.
func ordered(f *family, order []int32, budget int) (*diagram, error) {
	d := &diagram{nodeAt: order}
	levelOf := make([]int32, f.n)
	for l, v := range order {
		levelOf[v] = int32(l)
	}
	var err error
	if d.bdd, d.root, err = hittingSets(f, levelOf, len(order), budget); err != nil {
		return nil, err
	}
	d.done, d.table = nil, nil // needed for building only
	return d, nil
}

// countHitting counts the subsets of the universe that hit every edge, as the
// product over the connected parts. Nodes of the universe in no edge are free;
// edges lie within the universe.
func countHitting(f *family, universe, budget int) (*big.Int, error) {
	if f.hasEmpty() {
		return new(big.Int), nil
	}
	product := big.NewInt(1)
	for _, part := range split(f) {
		d, err := newDiagram(part, budget)
		if err != nil {
			return nil, err
		}
		product.Mul(product, d.count(d.root))
		universe -= len(d.nodeAt)
	}
	return product.Lsh(product, uint(universe)), nil
}
