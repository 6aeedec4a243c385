package faultcalc

// solveEdgeCover settles families in which every node is in one or two edges:
// seen as a graph whose vertices are the edges of the family and whose edges
// are its nodes, a hitting set is an edge cover, and a smallest one is a
// maximum matching plus one edge for every vertex that is left (Gallai).
func solveEdgeCover(f *family, inv *csr) (cover, bool) {
	for v := range f.n {
		if len(inv.row(v)) > 2 {
			return cover{}, false
		}
	}
	g := newGraph(f.edges.len())
	for v := range f.n {
		if at := inv.row(v); len(at) == 2 {
			g.connect(at[0], at[1], int32(v))
		}
	}
	g.match()
	var nodes []int32
	for e, partner := range g.mate {
		if int(partner) > e {
			nodes = append(nodes, g.label(int32(e), partner))
		} else if partner < 0 {
			nodes = append(nodes, f.edges.row(e)[0])
		}
	}
	return cover{nodes, len(nodes), "edge cover: no node is in more than two cuts, so a maximum matching proves it"}, true
}

// solveBipartite settles families of pairs between two sides: by König, a
// smallest vertex cover is as large as a maximum matching.
func solveBipartite(f *family, inv *csr) (cover, bool) {
	side := make([]int8, f.n)
	var start []int32
	for e := range f.edges.len() {
		if len(f.edges.row(e)) != 2 {
			return cover{}, false
		}
	}
	other := func(e, v int32) int32 {
		row := f.edges.row(int(e))
		return row[0] + row[1] - v
	}
	g := newGraph(f.n)
	for v := range int32(f.n) {
		if side[v] != 0 || len(inv.row(int(v))) == 0 {
			continue
		}
		side[v] = 1
		queue := []int32{v}
		for len(queue) > 0 {
			u := queue[0]
			queue = queue[1:]
			for _, e := range inv.row(int(u)) {
				w := other(e, u)
				if side[w] == side[u] {
					return cover{}, false
				}
				if side[w] == 0 {
					side[w] = -side[u]
					queue = append(queue, w)
				}
			}
		}
	}
	for e := range f.edges.len() {
		row := f.edges.row(e)
		g.connect(row[0], row[1], int32(e))
	}
	g.match()
	// König: from the free vertices of one side, follow alternating paths; the
	// cover is what they miss on that side and reach on the other.
	reached := make([]bool, f.n)
	for v := range int32(f.n) {
		if side[v] == 1 && g.mate[v] < 0 {
			reached[v] = true
			start = append(start, v)
		}
	}
	for len(start) > 0 {
		u := start[0]
		start = start[1:]
		for _, e := range inv.row(int(u)) {
			w := other(e, u)
			if reached[w] {
				continue
			}
			reached[w] = true
			if x := g.mate[w]; x >= 0 && !reached[x] {
				reached[x] = true
				start = append(start, x)
			}
		}
	}
	var nodes []int32
	for v := range int32(f.n) {
		if side[v] == 1 && !reached[v] || side[v] == -1 && reached[v] {
			nodes = append(nodes, v)
		}
	}
	return cover{nodes, len(nodes), "König: cuts are pairs between two sides, so a maximum matching proves it"}, true
}

// graph is an undirected graph with a matching, by Edmonds' blossom algorithm.
type graph struct {
	next  [][]arc
	mate  []int32
	base  []int32 // the base of the blossom that a vertex is in
	from  []int32 // the previous vertex on an alternating path
	even  []bool
	onWay []int32
	stamp int32
	inB   []bool
	queue []int32
}

type arc struct{ to, label int32 }

func newGraph(n int) *graph {
	g := &graph{
		next: make([][]arc, n), mate: make([]int32, n), base: make([]int32, n), from: make([]int32, n),
		even: make([]bool, n), onWay: make([]int32, n), inB: make([]bool, n),
	}
	for v := range g.mate {
		g.mate[v] = -1
	}
	return g
}

func (g *graph) connect(a, b, label int32) {
	g.next[a] = append(g.next[a], arc{b, label})
	g.next[b] = append(g.next[b], arc{a, label})
}

func (g *graph) label(a, b int32) int32 {
	for _, x := range g.next[a] {
		if x.to == b {
			return x.label
		}
	}
	return -1
}

// match finds a maximum matching: greedily first, then along augmenting paths.
func (g *graph) match() {
	for v := range g.next {
		for _, a := range g.next[v] {
			if g.mate[v] < 0 && g.mate[a.to] < 0 && int(a.to) != v {
				g.mate[v], g.mate[a.to] = a.to, int32(v)
			}
		}
	}
	for v := range g.mate {
		if g.mate[v] < 0 {
			g.augment(int32(v))
		}
	}
}

// augment grows an alternating tree from a free vertex until it meets another
// free vertex, and flips the path to it.
func (g *graph) augment(root int32) {
	for v := range g.base {
		g.base[v], g.from[v], g.even[v] = int32(v), -1, false
	}
	g.even[root] = true
	g.queue = append(g.queue[:0], root)
	for i := 0; i < len(g.queue); i++ {
		v := g.queue[i]
		for _, a := range g.next[v] {
			switch to := a.to; {
			case g.base[v] == g.base[to] || g.mate[v] == to:
			case to == root || g.mate[to] >= 0 && g.from[g.mate[to]] >= 0:
				g.contract(v, to)
			case g.from[to] < 0:
				g.from[to] = v
				if g.mate[to] < 0 {
					g.flip(to)
					return
				}
				g.even[g.mate[to]] = true
				g.queue = append(g.queue, g.mate[to])
			}
		}
	}
}

// contract makes one blossom of the odd cycle that the edge v-to closes.
func (g *graph) contract(v, to int32) {
	b := g.common(v, to)
	clear(g.inB)
	g.markPath(v, b, to)
	g.markPath(to, b, v)
	for u := range g.base {
		if g.inB[g.base[u]] {
			g.base[u] = b
			if !g.even[u] {
				g.even[u] = true
				g.queue = append(g.queue, int32(u))
			}
		}
	}
}

// common is the lowest common base of two even vertices.
func (g *graph) common(a, b int32) int32 {
	g.stamp++
	for {
		a = g.base[a]
		g.onWay[a] = g.stamp
		if g.mate[a] < 0 {
			break
		}
		a = g.from[g.mate[a]]
	}
	for {
		b = g.base[b]
		if g.onWay[b] == g.stamp {
			return b
		}
		b = g.from[g.mate[b]]
	}
}

func (g *graph) markPath(v, base, child int32) {
	for g.base[v] != base {
		g.inB[g.base[v]], g.inB[g.base[g.mate[v]]] = true, true
		g.from[v] = child
		child = g.mate[v]
		v = g.from[g.mate[v]]
	}
}

func (g *graph) flip(v int32) {
	for v >= 0 {
		p := g.from[v]
		next := g.mate[p]
		g.mate[v], g.mate[p] = p, v
		v = next
	}
}
