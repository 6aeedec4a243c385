package faultcalc

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"runtime"
)

// zdd is a zero-suppressed decision diagram, a compact family of sets: node 0
// is the family without a set, node 1 is {∅}; the sets below hi have the
// variable of the node, those below lo have not.
type zdd struct {
	nodes
	budget int

	of   *bdd
	mins *memo
	rest *memo
}

func (z *zdd) node(level, lo, hi int32) int32 {
	if hi == 0 {
		return lo
	}
	return z.make(level, lo, hi)
}

// minimalSets builds the family of the minimal satisfying sets of a monotone
// diagram (Knuth, TAOCP 7.1.4; Toda's way from all hitting sets to the minimal
// ones). The error is ErrTooLarge.
func minimalSets(b *bdd, root int32, budget int) (*zdd, int32, error) {
	z := &zdd{nodes: newNodes(int(b.vars)), budget: budget, of: b, mins: newMemo(), rest: newMemo()}
	r := z.minimal(root)
	if z.full() {
		return nil, 0, ErrTooLarge
	}
	return z, r, nil
}

// full says that the budget is spent; results are worthless from then on.
func (z *zdd) full() bool { return len(z.level) > z.budget || z.rest.used > 4*z.budget }

// minimal returns the minimal sets of diagram node f. With the variable of f,
// a set is minimal if it is so below hi, and satisfies lo not without it.
func (z *zdd) minimal(f int32) int32 {
	if f <= 1 || z.full() {
		return f & 1
	}
	if r, ok := z.mins.get(f, 0); ok {
		return r
	}
	lo := z.minimal(z.of.lo[f])
	hi := z.without(z.minimal(z.of.hi[f]), z.of.lo[f])
	r := z.node(z.of.level[f], lo, hi)
	z.mins.put(f, 0, r)
	return r
}

// without returns the sets of family s that do not satisfy f.
func (z *zdd) without(s, f int32) int32 {
	switch {
	case f == 1 || s == 0:
		return 0
	case f == 0 || s == 1: // f is monotone and not true, so ∅ does not satisfy it
		return s
	case z.full():
		return 0
	}
	if r, ok := z.rest.get(s, f); ok {
		return r
	}
	var r int32
	switch l, lf := z.level[s], z.of.level[f]; {
	case lf < l:
		r = z.without(s, z.of.lo[f])
	case lf == l:
		lo := z.without(z.lo[s], z.of.lo[f])
		r = z.node(l, lo, z.without(z.hi[s], z.of.hi[f]))
	default:
		lo := z.without(z.lo[s], f)
		r = z.node(l, lo, z.without(z.hi[s], f))
	}
	z.rest.put(s, f, r)
	return r
}

// count is the number of sets of the family.
func (z *zdd) count(root int32) *big.Int {
	small := make([]uint64, len(z.level))
	small[1] = 1
	list := z.reachable(root)
	for i, n := range list {
		a, b := small[z.lo[n]], small[z.hi[n]]
		if small[n] = a + b; small[n] < a {
			return z.countBig(root, list, i, small)
		}
	}
	return new(big.Int).SetUint64(small[root])
}

// countBig goes on where 64 bits end.
func (z *zdd) countBig(root int32, list []int32, from int, small []uint64) *big.Int {
	counts := make(map[int32]*big.Int, len(list)-from)
	get := func(n int32) *big.Int {
		if c, ok := counts[n]; ok {
			return c
		}
		return new(big.Int).SetUint64(small[n])
	}
	for _, n := range list[from:] {
		counts[n] = new(big.Int).Add(get(z.lo[n]), get(z.hi[n]))
	}
	return get(root)
}

// CountMinimalKeeperSets is the exact number of minimal keeper sets, and so of
// maximal survivable sets, without listing them where a zero-suppressed
// decision diagram is small; else they are counted one by one, up to the given
// number. The error wraps [ErrTooLarge] beyond that.
func (m *Model) CountMinimalKeeperSets(most int64) (*big.Int, error) {
	n, err := countTransversals(m.cuts(), most)
	if err != nil {
		return nil, fmt.Errorf("count minimal keeper sets of table %q: %w", m.table, err)
	}
	return n, nil
}

// countTransversals counts component by component: the number of the whole is
// the product.
func countTransversals(f *family, most int64) (*big.Int, error) {
	product := big.NewInt(1)
	if f.hasEmpty() {
		return new(big.Int), nil
	}
	for _, part := range split(f) {
		n, err := countPart(part, most)
		if err != nil {
			return nil, err
		}
		product.Mul(product, n)
	}
	return product, nil
}

// countPart counts one component: with a small diagram, which settles
// structured ones whatever their number, and by a short walk, which settles
// small ones; then with a large diagram, then by a walk to the end. Where a
// step of the walk is cheap, the walk goes first.
func countPart(f *family, most int64) (*big.Int, error) {
	const little, much, fewEdges = 1 << 13, 1 << 17, 1 << 10
	walkFirst := f.n <= 64 && f.edges.len() <= fewEdges
	if !walkFirst {
		if n, ok := countDiagram(f, little); ok {
			return n, nil
		}
	}
	if n, err := countWalk(f, most, shortWalk(f)); err == nil || errors.Is(err, errTooMany) {
		return big.NewInt(n), err
	}
	if n, ok := countDiagram(f, much); ok {
		return n, nil
	}
	n, err := countWalk(f, most, math.MaxInt64)
	return big.NewInt(n), err
}

func countDiagram(f *family, budget int) (*big.Int, bool) {
	d, err := newDiagram(f, budget)
	if err != nil {
		return nil, false
	}
	z, root, err := minimalSets(d.bdd, d.root, budget)
	if err != nil {
		return nil, false
	}
	return z.count(root), true
}

// shortWalk is a number of steps that take some milliseconds: a step looks at
// the edges that are still uncovered, and is dearer beyond one word of nodes.
func shortWalk(f *family) int64 {
	work := 6_000_000
	if f.n > 64 {
		work = 500_000
	}
	return int64(min(60_000, work/(f.edges.len()/4+8)))
}

// errTooMany is an ErrTooLarge that more work does not help.
var errTooMany = fmt.Errorf("%w: too many to count one by one", ErrTooLarge)

// countWalk counts by depth-first walk, up to a number of steps.
func countWalk(f *family, most, steps int64) (int64, error) {
	n := int64(0)
	all, workers := steps == math.MaxInt64, runtime.GOMAXPROCS(0)
	switch e := newWordEngine(f); {
	case e != nil && all:
		n = countParallel(e, workers, most)
	case e != nil:
		e.steps, e.most = steps, most
		e.start()
		n, steps = e.found, e.steps
	case all:
		n = countParallel(newSparseEngine(f), workers, most)
	default:
		e := newSparseEngine(f)
		e.steps = steps
		e.yield = func(Set) bool {
			n++
			return n <= most
		}
		e.run()
		steps = e.steps
	}
	switch {
	case n > most:
		return 0, errTooMany
	case steps < 0:
		return 0, ErrTooLarge
	}
	return n, nil
}
