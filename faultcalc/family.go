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

// newFamily sorts the edges, drops duplicates and supersets. It takes over the
// edges; each of them has ascending, distinct nodes.
func newFamily(n int, edges csr) *family {
	bySize := make([][]int32, n+1)
	most := 0
	for e := range edges.len() {
		k := len(edges.row(e))
		if k == 0 {
			return emptyEdge(n)
		}
		bySize[k] = append(bySize[k], int32(e))
		most = max(most, k)
	}
	f := &family{n: n, edges: csr{
		off:  make([]int32, 1, edges.len()+1),
		elem: make([]int32, 0, len(edges.elem)),
	}}
	seen := newSubsetFinder(n)
	for k := 1; k <= most; k++ {
		if len(bySize[k]) == 0 {
			continue
		}
		from := f.edges.len()
		for _, e := range sortedDistinct(n, &edges, bySize[k], k) {
			if from == 0 || !seen.hasSubsetOf(&f.edges, e) {
				f.edges.push(e...)
			}
		}
		if k < most {
			for e := from; e < f.edges.len(); e++ {
				seen.add(&f.edges, int32(e))
			}
		}
	}
	return f
}

// sortedDistinct returns the given edges, all of size k, in lexicographic
// order, each once.
func sortedDistinct(n int, edges *csr, which []int32, k int) [][]int32 {
	width := bits.Len(uint(max(n-1, 1)))
	out := make([][]int32, 0, len(which))
	if k*width > 64 {
		for _, e := range which {
			out = append(out, edges.row(int(e)))
		}
		slices.SortFunc(out, slices.Compare[[]int32])
		return slices.CompactFunc(out, slices.Equal[[]int32])
	}
	// An edge fits into one word: sorting words is an order of magnitude faster.
	keys := make([]uint64, len(which))
	for i, e := range which {
		var key uint64
		for _, v := range edges.row(int(e)) {
			key = key<<width | uint64(v)
		}
		keys[i] = key
	}
	keys = slices.Compact(sortWords(keys, k*width))
	flat := make([]int32, k*len(keys))
	for i, key := range keys {
		row := flat[i*k : (i+1)*k : (i+1)*k]
		for j := k - 1; j >= 0; j-- {
			row[j] = int32(key & (1<<width - 1))
			key >>= width
		}
		out = append(out, row)
	}
	return out
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
