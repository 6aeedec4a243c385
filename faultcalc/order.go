package faultcalc

// levels numbers the nodes that are in some edge for a decision diagram, and
// returns the level of each node and the node of each level. Components lie
// one below the other. Within one, the better of two orders is taken: that of
// the topology, and a greedy one that keeps few edges open at a time.
func levels(f *family) (levelOf, nodeAt []int32) {
	inv := f.inverse()
	for _, comp := range components(f) {
		best := comp
		if greedy := frontierOrder(f, &inv, comp); spanCost(f, &inv, greedy) < spanCost(f, &inv, comp) {
			best = greedy
		}
		nodeAt = append(nodeAt, best...)
	}
	levelOf = make([]int32, f.n)
	for l, v := range nodeAt {
		levelOf[v] = int32(l)
	}
	return levelOf, nodeAt
}

// spanCost is the number of edges that are open (begun, not ended), summed
// over all places of the order: the fewer, the narrower the diagram.
func spanCost(f *family, inv *csr, order []int32) int {
	left := map[int32]int{}
	open, cost := 0, 0
	for _, v := range order {
		for _, e := range inv.row(int(v)) {
			n, begun := left[e]
			if !begun {
				n = len(f.edges.row(int(e)))
				open++
			}
			if left[e] = n - 1; n == 1 {
				open--
			}
		}
		cost += open
	}
	return cost
}

// frontierOrder orders a component greedily: next is the node that opens the
// fewest edges, less those it ends, among the nodes of open edges; it begins
// with a node of least degree.
func frontierOrder(f *family, inv *csr, comp []int32) []int32 {
	left := map[int32]int{}
	near := map[int32]bool{}
	done := map[int32]bool{}
	first := comp[0]
	for _, v := range comp {
		if len(inv.row(int(v))) < len(inv.row(int(first))) {
			first = v
		}
	}
	cost := func(v int32) int {
		c := 0
		for _, e := range inv.row(int(v)) {
			switch n, begun := left[e]; {
			case !begun:
				c++
			case n == 1:
				c--
			}
		}
		return c
	}
	order := make([]int32, 0, len(comp))
	work := 0
	for v := first; ; {
		order = append(order, v)
		done[v] = true
		delete(near, v)
		for _, e := range inv.row(int(v)) {
			row := f.edges.row(int(e))
			n, begun := left[e]
			if !begun {
				n = len(row)
				for _, u := range row {
					if !done[u] {
						near[u] = true
					}
				}
			}
			left[e] = n - 1
		}
		if len(order) == len(comp) {
			return order
		}
		// Ties go to the first node in topology order, so map order is harmless.
		best, least := int32(-1), 0
		for u := range near {
			c := cost(u)
			work += len(inv.row(int(u)))
			if best < 0 || c < least || c == least && u < best {
				best, least = u, c
			}
		}
		if work > 1<<24 {
			return comp // too large for a greedy order to pay off
		}
		v = best
	}
}

// components groups the nodes that are in some edge by connectedness: each
// group ascending, groups by their first node.
func components(f *family) [][]int32 {
	parent := make([]int32, f.n)
	for i := range parent {
		parent[i] = -1
	}
	find := func(v int32) int32 {
		for parent[v] != v {
			parent[v] = parent[parent[v]]
			v = parent[v]
		}
		return v
	}
	for e := range f.edges.len() {
		row := f.edges.row(e)
		for _, v := range row {
			if parent[v] < 0 {
				parent[v] = v
			}
			a, b := find(row[0]), find(v)
			parent[max(a, b)] = min(a, b)
		}
	}
	at := make([]int, f.n)
	var groups [][]int32
	for v := range parent {
		if parent[v] < 0 {
			continue
		}
		root := find(int32(v))
		if root == int32(v) {
			at[v] = len(groups)
			groups = append(groups, nil)
		}
		groups[at[root]] = append(groups[at[root]], int32(v))
	}
	return groups
}
