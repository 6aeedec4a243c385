package faultcalc

import "slices"

// branch is a depth-first branch and bound for a smallest hitting set. It
// branches on the uncovered edge with the fewest candidates: some node of it
// has to be chosen, and once one has been tried, the later branches go without.
type branch struct {
	f      *family
	inv    *csr
	budget *int

	hits   []int32 // per edge: chosen nodes in it
	open   []int32 // per edge: candidates in it
	gain   []int32 // per node: uncovered edges at it
	out    []bool  // per node: excluded
	left   int     // uncovered edges
	chosen []int32
	best   []int32

	used  []int32 // scratch of the packing bound
	round int32
	tally []int32 // scratch of the degree bound
}

func newBranch(f *family, inv *csr, best []int32, budget *int) *branch {
	b := &branch{
		f: f, inv: inv, budget: budget, best: best,
		hits: make([]int32, f.edges.len()), open: make([]int32, f.edges.len()),
		gain: make([]int32, f.n), out: make([]bool, f.n), left: f.edges.len(),
		used: make([]int32, f.n),
	}
	for e := range b.open {
		b.open[e] = int32(len(f.edges.row(e)))
	}
	most := 0
	for v := range b.gain {
		b.gain[v] = int32(len(inv.row(v)))
		most = max(most, len(inv.row(v)))
	}
	b.tally = make([]int32, most+1)
	return b
}

// run searches until the best set is proven, or as small as lower, which is
// known to be a lower bound; false when the budget ran out before that.
func (b *branch) run(lower int) bool {
	if b.left == 0 {
		if len(b.chosen) < len(b.best) {
			b.best = slices.Clone(b.chosen)
		}
		return true
	}
	if len(b.best) <= lower {
		return true
	}
	if *b.budget -= len(b.hits) + len(b.gain); *b.budget < 0 {
		return false
	}
	if len(b.chosen)+b.bound() >= len(b.best) {
		return true
	}
	e := b.pick()
	var nodes []int32
	for _, v := range b.f.edges.row(int(e)) {
		if !b.out[v] {
			nodes = append(nodes, v)
		}
	}
	slices.SortStableFunc(nodes, func(x, y int32) int { return int(b.gain[y] - b.gain[x]) })
	done := true
	tried := 0
	for _, v := range nodes {
		b.choose(v)
		done = b.run(lower)
		b.unchoose(v)
		if !done {
			break
		}
		b.exclude(v)
		tried++
	}
	for _, v := range nodes[:tried] {
		b.include(v)
	}
	return done
}

// pick returns the uncovered edge with the fewest candidates.
func (b *branch) pick() int32 {
	best := int32(-1)
	for e, h := range b.hits {
		if h == 0 && (best < 0 || b.open[e] < b.open[best]) {
			best = int32(e)
		}
	}
	return best
}

// bound is the larger of two lower bounds on what is still to be chosen:
// uncovered edges without a common candidate, and the number of largest gains
// that add up to all uncovered edges.
func (b *branch) bound() int {
	b.round++
	packed := 0
	for e, h := range b.hits {
		if h > 0 {
			continue
		}
		if b.open[e] == 0 {
			return len(b.hits) + len(b.gain) // a dead end
		}
		row := b.f.edges.row(e)
		if slices.ContainsFunc(row, func(v int32) bool { return !b.out[v] && b.used[v] == b.round }) {
			continue
		}
		packed++
		for _, v := range row {
			b.used[v] = b.round
		}
	}
	clear(b.tally)
	for v, g := range b.gain {
		if !b.out[v] && g > 0 {
			b.tally[g]++
		}
	}
	missing, needed := b.left, 0
	for g := len(b.tally) - 1; g > 0 && missing > 0; g-- {
		take := min(int(b.tally[g]), (missing+g-1)/g)
		needed += take
		missing -= take * g
	}
	return max(packed, needed)
}

func (b *branch) choose(v int32) {
	b.chosen = append(b.chosen, v)
	for _, e := range b.inv.row(int(v)) {
		if b.hits[e]++; b.hits[e] == 1 {
			b.left--
			for _, u := range b.f.edges.row(int(e)) {
				b.gain[u]--
			}
		}
	}
}

func (b *branch) unchoose(v int32) {
	b.chosen = b.chosen[:len(b.chosen)-1]
	for _, e := range b.inv.row(int(v)) {
		if b.hits[e]--; b.hits[e] == 0 {
			b.left++
			for _, u := range b.f.edges.row(int(e)) {
				b.gain[u]++
			}
		}
	}
}

func (b *branch) exclude(v int32) {
	b.out[v] = true
	for _, e := range b.inv.row(int(v)) {
		b.open[e]--
	}
}

func (b *branch) include(v int32) {
	b.out[v] = false
	for _, e := range b.inv.row(int(v)) {
		b.open[e]++
	}
}
