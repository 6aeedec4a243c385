package faultcalc

import (
	"math/bits"
	"slices"
)

// family is an inclusion-minimal family of node sets (a simple hypergraph) in
// sparse form: its edges are sorted by size, then lexicographically, and have
// ascending, distinct nodes below n. The family {∅} stands for "already true";
// its edge list is one empty edge.
type family struct {
	n     int
	edges csr
}

// hasEmpty says whether the family is {∅}.
func (f *family) hasEmpty() bool { return f.edges.len() > 0 && len(f.edges.row(0)) == 0 }

// emptyEdge returns the family {∅}.
func emptyEdge(n int) *family { return &family{n: n, edges: csr{off: []int32{0, 0}}} }

// anyFamily takes the edges as they are, neither sorted nor minimal, for
// questions about hitting sets that are answered by a diagram.
func anyFamily(n int, edges csr) *family {
	for e := range edges.len() {
		if len(edges.row(e)) == 0 {
			return emptyEdge(n)
		}
	}
	return &family{n: n, edges: edges}
}

// newFamily sorts the edges, drops duplicates and supersets. Each of the given
// edges has ascending, distinct nodes; they stay as they are.
func newFamily(n int, edges csr) *family {
	count := make([]int, n+1)
	for e := range edges.len() {
		count[len(edges.row(e))]++
	}
	if count[0] > 0 {
		return emptyEdge(n)
	}
	f := &family{n: n, edges: csr{
		off:  make([]int32, 1, edges.len()+1),
		elem: make([]int32, 0, len(edges.elem)),
	}}
	seen := newSubsetFinder(n)
	left := edges.len()
	for k := 1; left > 0; k++ {
		if count[k] == 0 {
			continue
		}
		left -= count[k]
		from := f.edges.len()
		sorted := sortedDistinct(n, &edges, count[k], k)
		for at := 0; at < len(sorted); at += k {
			if e := sorted[at : at+k]; from == 0 || !seen.hasSubsetOf(&f.edges, e) {
				f.edges.push(e...)
			}
		}
		if left > 0 {
			for e := from; e < f.edges.len(); e++ {
				seen.add(&f.edges, int32(e))
			}
		}
	}
	return f
}

// sortedDistinct returns the edges of size k, of which there are so many, in
// lexicographic order, each once, one after the other.
func sortedDistinct(n int, edges *csr, count, k int) []int32 {
	flat := make([]int32, 0, count*k)
	width := bits.Len(uint(max(n-1, 1)))
	if k*width > 64 {
		rows := make([][]int32, 0, count)
		for e := range edges.len() {
			if row := edges.row(e); len(row) == k {
				rows = append(rows, row)
			}
		}
		slices.SortFunc(rows, slices.Compare[[]int32])
		for _, row := range slices.CompactFunc(rows, slices.Equal[[]int32]) {
			flat = append(flat, row...)
		}
		return flat
	}
	// An edge fits into one word: sorting words is an order of magnitude faster.
	keys := make([]uint64, 0, count)
	for e := range edges.len() {
		row := edges.row(e)
		if len(row) != k {
			continue
		}
		var key uint64
		for _, v := range row {
			key = key<<width | uint64(v)
		}
		keys = append(keys, key)
	}
	for _, key := range slices.Compact(sortWords(keys, k*width)) {
		for shift := (k - 1) * width; shift >= 0; shift -= width {
			flat = append(flat, int32(key>>shift&(1<<width-1)))
		}
	}
	return flat
}

// sortWords sorts words that use the given number of low bits.
func sortWords(keys []uint64, width int) []uint64 {
	const digit = 11
	if len(keys) < 1<<digit || width > 5*digit {
		slices.Sort(keys)
		return keys
	}
	other := make([]uint64, len(keys))
	for shift := 0; shift < width; shift += digit {
		var at [1 << digit]int32
		for _, k := range keys {
			at[k>>shift&(1<<digit-1)]++
		}
		sum := int32(0)
		for i, c := range at {
			at[i] = sum
			sum += c
		}
		for _, k := range keys {
			d := k >> shift & (1<<digit - 1)
			other[at[d]] = k
			at[d]++
		}
		keys, other = other, keys
	}
	return keys
}

// subsetFinder answers whether some added edge is a subset of a given one. It
// files every edge under the one of its nodes with the fewest edges so far.
type subsetFinder struct {
	under [][]int32
	mark  []bool
}

func newSubsetFinder(n int) *subsetFinder {
	return &subsetFinder{under: make([][]int32, n), mark: make([]bool, n)}
}

func (s *subsetFinder) add(edges *csr, e int32) {
	row := edges.row(int(e))
	best := row[0]
	for _, v := range row {
		if len(s.under[v]) < len(s.under[best]) {
			best = v
		}
	}
	s.under[best] = append(s.under[best], e)
}

func (s *subsetFinder) hasSubsetOf(edges *csr, of []int32) bool {
	for _, v := range of {
		s.mark[v] = true
	}
	defer func() {
		for _, v := range of {
			s.mark[v] = false
		}
	}()
	for _, v := range of {
		for _, e := range s.under[v] {
			if !slices.ContainsFunc(edges.row(int(e)), func(u int32) bool { return !s.mark[u] }) {
				return true
			}
		}
	}
	return false
}

// inverse lists, per node, the edges that contain it, in ascending order.
func (f *family) inverse() csr {
	off := make([]int32, f.n+1)
	for _, v := range f.edges.elem {
		off[v+1]++
	}
	for i := range f.n {
		off[i+1] += off[i]
	}
	inv := csr{off: off, elem: make([]int32, len(f.edges.elem))}
	at := slices.Clone(off[:f.n])
	for e := range f.edges.len() {
		for _, v := range f.edges.row(e) {
			inv.elem[at[v]] = int32(e)
			at[v]++
		}
	}
	return inv
}
