package faultcalc

import "slices"

// spanCost is the number of edges that are open (begun, not ended), summed
// over all places of the order: the fewer, the narrower the diagram.
func spanCost(f *family, inv *csr, order []int32) int {
	left := make([]int32, f.edges.len())
	open, cost := 0, 0
	for _, v := range order {
		for _, e := range inv.row(int(v)) {
			if left[e] == 0 {
				left[e] = int32(len(f.edges.row(int(e))))
				open++
			}
			if left[e]--; left[e] == 0 {
				open--
			}
		}
		cost += open
	}
	return cost
}

// frontierOrder orders a component greedily: next is the node that opens the
// fewest edges, less those it ends, among the nodes of open edges; it begins
// with a node of least degree. Ties go to the first node.
func frontierOrder(f *family, inv *csr, comp []int32) []int32 {
	const most = 1 << 12 // beyond that, a greedy order does not pay off
	if len(comp) > most {
		return comp
	}
	left := make([]int32, f.edges.len()) // nodes of an open edge still to come
	cost := make([]int32, f.n)
	near := make([]bool, f.n)
	next := comp[0]
	for _, v := range comp {
		cost[v] = int32(len(inv.row(int(v))))
		if cost[v] < cost[next] {
			next = v
		}
	}
	rest := slices.Clone(comp)
	order := make([]int32, 0, len(comp))
	for {
		order = append(order, next)
		at := slices.Index(rest, next)
		rest = slices.Delete(rest, at, at+1)
		near[next] = false
		if len(rest) == 0 {
			return order
		}
		cost[next] = -1 << 30 // placed; what happens to it is of no interest
		for _, e := range inv.row(int(next)) {
			row := f.edges.row(int(e))
			begins := left[e] == 0
			if begins {
				left[e] = int32(len(row))
			}
			left[e]--
			if !begins && left[e] != 1 {
				continue
			}
			for _, u := range row {
				if begins {
					cost[u]--
					near[u] = cost[u] > -1<<29
				}
				if left[e] == 1 {
					cost[u]--
				}
			}
		}
		next = -1
		for _, u := range rest {
			if near[u] && (next < 0 || cost[u] < cost[next]) {
				next = u
			}
		}
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
