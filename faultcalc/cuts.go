package faultcalc

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
)

// maxCandidates bounds the list of cuts before minimisation (and with it the
// memory of the exact calculation to some hundreds of megabytes).
const maxCandidates = 1 << 23

// MinimalCutSets yields every inclusion-minimal set of nodes whose failure
// makes the table unavailable, by size, then lexicographically. A table that
// is already unavailable has the one cut ∅; a table without shards has none.
//
// Source: method/fault-factors.md, "What is exact". A rule with threshold
// need, seen as a row of node weights with sum W, is cut by the minimal sets of
// weight W-need+1 or more; the minimal ones among all rows are the result.
// They are listed in time about linear in the replicas (no dualization).
//
// The yielded set is borrowed; see [Set].
func (m *Model) MinimalCutSets() iter.Seq[Set] {
	return func(yield func(Set) bool) { m.cuts().each(yield) }
}

// each yields the edges as borrowed sets.
func (f *family) each(yield func(Set) bool) {
	s := newSet(f.n)
	for e := range f.edges.len() {
		row := f.edges.row(e)
		for _, v := range row {
			s.add(int(v))
		}
		if !yield(s) {
			return
		}
		for _, v := range row {
			s.remove(int(v))
		}
	}
}

// cuts returns the family of minimal cut sets, calculated once.
func (m *Model) cuts() *family {
	m.cutsOnce.Do(func() { m.cutFam = m.makeCuts() })
	return m.cutFam
}

func (m *Model) makeCuts() *family {
	r := &m.rows
	if !slices.ContainsFunc(r.need, func(need int32) bool { return need != 1 }) {
		return newFamily(len(m.nodes), r.csr)
	}
	edges := csr{off: make([]int32, 1, len(r.need)+1), elem: make([]int32, 0, len(r.elem))}
	var c cutLister
	for row, need := range r.need {
		if need == 0 {
			continue
		}
		lo, hi := r.off[row], r.off[row+1]
		sum := total(r.weight[lo:hi])
		switch {
		case sum < need:
			return emptyEdge(len(m.nodes))
		case need == 1:
			edges.push(r.elem[lo:hi]...)
		default:
			c.list(r.elem[lo:hi], r.weight[lo:hi], sum-need+1, &edges)
		}
	}
	return newFamily(len(m.nodes), edges)
}

// checkWidth refuses tables whose cuts can't be listed in reasonable memory.
func (m *Model) checkWidth() error {
	r := &m.rows
	candidates := 0.0
	for s := range m.number {
		for row := r.first[s]; row < r.first[s+1]; row++ {
			weights := r.weight[r.off[row]:r.off[row+1]]
			if need := r.need[row]; need > 1 && total(weights) >= need {
				candidates += countMinimal(weights, total(weights)-need+1)
			}
		}
		if candidates > maxCandidates {
			return fmt.Errorf("%w: up to shard %d there are more than %d; lower the number of voters per shard, or look at a coarser level",
				ErrTooWide, m.number[s], maxCandidates)
		}
	}
	return nil
}

// countMinimal bounds the number of minimal sets with weight d or more from
// above; it is exact when all weights are equal.
func countMinimal(weights []int32, d int32) float64 {
	n, w := len(weights), slices.Min(weights)
	if slices.Max(weights) > w {
		// Any antichain is at most as large as the middle layer.
		return binomial(n, n/2)
	}
	return binomial(n, int((d+w-1)/w))
}

// binomial is C(n, k) in floating point; +Inf when it overflows.
func binomial(n, k int) float64 {
	k = min(k, n-k)
	b := 1.0
	for i := range k {
		b = b * float64(n-i) / float64(i+1)
	}
	return math.Round(b)
}

func total(weights []int32) int32 {
	sum := int32(0)
	for _, w := range weights {
		sum += w
	}
	return sum
}

// cutLister lists the minimal sets of one row; it only keeps scratch space.
type cutLister struct {
	order  []int32 // positions in the row, heaviest first
	chosen []int32
}

// list appends every inclusion-minimal set of nodes with weight d or more.
//
// Nodes are added in the order of falling weight and a set is recorded as soon
// as it reaches d: then the node added last is its lightest, and without it
// the weight is below d, so without any other node it is too.
func (c *cutLister) list(nodes, weight []int32, d int32, out *csr) {
	c.order = c.order[:0]
	for i := range nodes {
		c.order = append(c.order, int32(i))
	}
	slices.SortStableFunc(c.order, func(a, b int32) int { return cmp.Compare(weight[b], weight[a]) })
	rest := total(weight)
	var walk func(from int, missing, rest int32)
	walk = func(from int, missing, rest int32) {
		if missing <= 0 {
			start := len(out.elem)
			for _, i := range c.chosen {
				out.elem = append(out.elem, nodes[i])
			}
			slices.Sort(out.elem[start:])
			out.close()
			return
		}
		for at := from; at < len(c.order) && rest >= missing; at++ {
			i := c.order[at]
			c.chosen = append(c.chosen, i)
			rest -= weight[i]
			walk(at+1, missing-weight[i], rest)
			c.chosen = c.chosen[:len(c.chosen)-1]
		}
	}
	walk(0, d, rest)
}
