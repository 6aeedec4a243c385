package faultcalc

import (
	"fmt"
	"slices"
	"strings"
)

// Minimum is the smallest keeper set that was found, with what is proven
// about the smallest there is.
type Minimum struct {
	// Set keeps the table available if it survives; it has Upper nodes.
	Set Set
	// Lower and Upper bound the size of the smallest keeper set.
	Lower, Upper int
	// Optimal says that Set is a smallest one: Lower equals Upper.
	Optimal bool
	// Why names the arguments that the bounds rest on.
	Why string
}

// DefaultBudget is a budget for [Model.MinimumKeeperSet] of about a second.
const DefaultBudget = 50_000_000

// MinimumKeeperSet returns a smallest set of nodes that keeps the table
// available if it survives: the exact, optimal B, a minimum hitting set of the
// minimal cuts. That is NP-hard; the budget, in elementary steps, bounds the
// branch and bound, and the result then says how far the proof got. It depends
// on the budget, never on time.
//
// Special shapes are solved exactly in polynomial time whatever the budget:
// nodes in at most two cuts (minimum edge cover, by matching), pairs of nodes
// between two sides (König), and cuts that cross every failure domain (a whole
// domain, proven by a fractional matching where that is tight).
//
// The error wraps [ErrAlreadyUnavailable].
func (m *Model) MinimumKeeperSet(budget int) (Minimum, error) {
	cuts := m.cuts()
	if cuts.hasEmpty() {
		return Minimum{}, fmt.Errorf("minimum keeper set of table %q: %w", m.table, ErrAlreadyUnavailable)
	}
	forced, reduced := reduce(cuts)
	min := Minimum{Set: newSet(len(m.nodes)), Lower: len(forced)}
	for _, v := range forced {
		min.Set.add(int(v))
	}
	var why []string
	if len(forced) > 0 {
		why = append(why, "forced and dominating nodes")
	}
	parts := split(reduced)
	rowsNeed := m.rowsBound()
	for _, f := range parts {
		known := 0
		if len(parts) == 1 {
			known = rowsNeed - len(forced)
		}
		part := solveCover(f, known, &budget)
		for _, v := range part.nodes {
			min.Set.add(int(v))
		}
		min.Lower += part.lower
		if !slices.Contains(why, part.why) {
			why = append(why, part.why)
		}
	}
	if len(why) == 0 {
		why = append(why, "nothing is needed")
	}
	min.Upper = min.Set.Len()
	min.Lower = max(min.Lower, rowsNeed)
	min.Optimal = min.Lower == min.Upper
	min.Why = strings.Join(why, "; ")
	return min, nil
}

// cover is a hitting set of one connected family and a lower bound.
type cover struct {
	nodes []int32
	lower int
	why   string
}

// rowsBound is a lower bound from the quorums themselves: rows without a common
// node each need as many nodes of their own as their heaviest ones take to
// reach the threshold.
func (m *Model) rowsBound() int {
	r := &m.rows
	least := make([]int, len(r.need))
	order := make([]int, 0, len(r.need))
	var weights []int32
	for row, need := range r.need {
		if need == 0 {
			continue
		}
		weights = append(weights[:0], r.weight[r.off[row]:r.off[row+1]]...)
		slices.Sort(weights)
		for i := len(weights) - 1; i >= 0 && need > 0; i-- {
			need -= weights[i]
			least[row]++
		}
		order = append(order, row)
	}
	slices.SortStableFunc(order, func(a, b int) int { return least[b] - least[a] })
	used := newSet(len(m.nodes))
	bound := 0
	for _, row := range order {
		nodes := r.row(row)
		if slices.ContainsFunc(nodes, func(v int32) bool { return used.Contains(int(v)) }) {
			continue
		}
		bound += least[row]
		for _, v := range nodes {
			used.add(int(v))
		}
	}
	return bound
}

// solveCover picks the cheapest method that settles a connected family. known
// is a lower bound from elsewhere.
func solveCover(f *family, known int, budget *int) cover {
	inv := f.inverse()
	if c, ok := solveEdgeCover(f, &inv); ok {
		return c
	}
	if c, ok := solveBipartite(f, &inv); ok {
		return c
	}
	best := greedyCover(f, &inv)
	why := "greedy cover"
	if d := smallestDomain(f, &inv); d != nil && len(d) < len(best) {
		best, why = d, "a whole failure domain"
	}
	lower, lowerWhy := packingBound(f), "disjoint cuts"
	if known > lower {
		lower, lowerWhy = known, "disjoint quorums"
	}
	if lower >= len(best) {
		return cover{best, lower, why + ", met by the lower bound of " + lowerWhy}
	}
	if l := fractionalBound(f, len(best)); l > lower {
		lower, lowerWhy = l, "a fractional matching"
	}
	if lower >= len(best) {
		return cover{best, lower, why + ", met by the lower bound of " + lowerWhy}
	}
	b := newBranch(f, &inv, best, budget)
	if b.run(lower) {
		return cover{b.best, len(b.best), "branch and bound to the end"}
	}
	if len(b.best) < len(best) {
		why = "branch and bound, cut short by its budget"
	}
	return cover{b.best, lower, why + ", not proven; lower bound by " + lowerWhy}
}

// reduce applies the reductions that keep some minimum hitting set: a node
// whose edges are all edges of another node is never needed; the node of an
// edge with no other is. It returns the forced nodes and what is left.
func reduce(f *family) (forced []int32, rest *family) {
	const rounds = 50 // each is linear; chains that need more are left to the solvers
	for range rounds {
		dropped, any := dominated(f)
		edges := csr{off: []int32{0}}
		for e := range f.edges.len() {
			for _, v := range f.edges.row(e) {
				if !dropped[v] {
					edges.elem = append(edges.elem, v)
				}
			}
			edges.close()
		}
		f = newFamily(f.n, edges)
		// After minimisation, the node of an edge with one node is in no other.
		edges = csr{off: []int32{0}}
		units := false
		for e := range f.edges.len() {
			if row := f.edges.row(e); len(row) == 1 {
				forced, units = append(forced, row[0]), true
			} else {
				edges.push(row...)
			}
		}
		f = &family{n: f.n, edges: edges}
		if !any && !units {
			break
		}
	}
	return forced, f
}

// dominated marks nodes whose edges are a subset of another node's. Of nodes
// with the same edges, the first stays.
func dominated(f *family) (dropped []bool, some bool) {
	inv := f.inverse()
	dropped = make([]bool, f.n)
	mark := make([]int32, f.edges.len())
	for v := range int32(f.n) {
		mine := inv.row(int(v))
		if len(mine) == 0 {
			continue
		}
		shortest := mine[0]
		for _, e := range mine {
			if len(f.edges.row(int(e))) < len(f.edges.row(int(shortest))) {
				shortest = e
			}
		}
		for _, e := range mine {
			mark[e] = v + 1
		}
		for _, u := range f.edges.row(int(shortest)) {
			theirs := inv.row(int(u))
			if u == v || dropped[u] || len(theirs) < len(mine) || len(theirs) == len(mine) && u > v {
				continue
			}
			shared := 0
			for _, e := range theirs {
				if mark[e] == v+1 {
					shared++
				}
			}
			if shared == len(mine) {
				dropped[v], some = true, true
				break
			}
		}
	}
	return dropped, some
}

// greedyCover takes the node in the most uncovered edges, then drops nodes
// that turned out to be superfluous, the latest first.
func greedyCover(f *family, inv *csr) []int32 {
	gain := make([]int32, f.n)
	for v := range gain {
		gain[v] = int32(len(inv.row(v)))
	}
	hits := make([]int32, f.edges.len())
	var taken []int32
	for left := len(hits); left > 0; {
		best := 0
		for v, g := range gain {
			if g > gain[best] {
				best = v
			}
		}
		taken = append(taken, int32(best))
		for _, e := range inv.row(best) {
			if hits[e]++; hits[e] == 1 {
				left--
				for _, v := range f.edges.row(int(e)) {
					gain[v]--
				}
			}
		}
	}
	return prune(inv, hits, taken)
}

// prune drops every node all of whose edges are hit by others too.
func prune(inv *csr, hits, taken []int32) []int32 {
	for i := len(taken) - 1; i >= 0; i-- {
		mine := inv.row(int(taken[i]))
		if slices.ContainsFunc(mine, func(e int32) bool { return hits[e] == 1 }) {
			continue
		}
		for _, e := range mine {
			hits[e]--
		}
		taken = slices.Delete(taken, i, i+1)
	}
	return taken
}

// packingBound counts edges that share no node: each needs a node of its own.
func packingBound(f *family) int {
	used := make([]bool, f.n)
	n := 0
	for e := range f.edges.len() {
		row := f.edges.row(e)
		if slices.ContainsFunc(row, func(v int32) bool { return used[v] }) {
			continue
		}
		n++
		for _, v := range row {
			used[v] = true
		}
	}
	return n
}
