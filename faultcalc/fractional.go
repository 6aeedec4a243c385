package faultcalc

import "math"

// fractionalBound is a lower bound on hitting sets by linear duality: weights
// on the edges that add up to at most 1 at every node. It stops early once it
// proves that target nodes are needed.
//
// The weights are balanced by Sinkhorn's scaling: each round divides the weight
// of an edge by the geometric mean of the loads of its nodes. Any weights give
// a valid bound after dividing each by the largest load among its nodes, so
// convergence is only a matter of how good the bound is.
func fractionalBound(f *family, target int) int {
	const rounds, patience, slack = 400, 20, 1e-6
	m := f.edges.len()
	weight := make([]float64, m)
	load := make([]float64, f.n)
	scale := make([]float64, f.n)
	for e := range weight {
		weight[e] = 1
	}
	uniform := true
	for e := range m {
		uniform = uniform && len(f.edges.row(e)) == len(f.edges.row(0))
	}
	best, bestAt := 0.0, 0
	for round := range rounds {
		clear(load)
		for e, w := range weight {
			for _, v := range f.edges.row(e) {
				load[v] += w
			}
		}
		sum := 0.0
		for e, w := range weight {
			most := 0.0
			for _, v := range f.edges.row(e) {
				most = max(most, load[v])
			}
			if most > 0 {
				sum += w / most
			}
		}
		if sum > best*(1+1e-5) {
			best, bestAt = sum, round
		}
		if int(math.Ceil(best-slack)) >= target || round-bestAt > patience {
			break
		}
		if uniform {
			k := 1 / float64(len(f.edges.row(0)))
			for v, l := range load {
				scale[v] = math.Pow(l, -k)
			}
		}
		for e := range weight {
			row := f.edges.row(e)
			s := 1.0
			if uniform {
				for _, v := range row {
					s *= scale[v]
				}
			} else {
				for _, v := range row {
					s *= load[v]
				}
				s = math.Pow(s, -1/float64(len(row)))
			}
			weight[e] *= s
		}
	}
	return int(math.Ceil(best - slack))
}

// smallestDomain finds a partition of the nodes into domains such that every
// edge has exactly one node in each, if there is one that can be followed from
// the first edge: in an edge with all but one node known, the last one is too.
// Every domain is then a hitting set, and the smallest is returned. Racks with
// one replica each have this shape.
func smallestDomain(f *family, inv *csr) []int32 {
	k := len(f.edges.row(0))
	for e := range f.edges.len() {
		if len(f.edges.row(e)) != k {
			return nil
		}
	}
	domain := make([]int32, f.n)
	for v := range domain {
		domain[v] = -1
	}
	known := make([]int, f.edges.len())
	var queue []int32
	assign := func(v, d int32) {
		domain[v] = d
		for _, e := range inv.row(int(v)) {
			if known[e]++; known[e] == k-1 {
				queue = append(queue, e)
			}
		}
	}
	for d, v := range f.edges.row(0) {
		assign(v, int32(d))
	}
	for len(queue) > 0 {
		e := queue[0]
		queue = queue[1:]
		missing, last := int32(k*(k-1)/2), int32(-1)
		for _, v := range f.edges.row(int(e)) {
			if domain[v] < 0 {
				last = v
			} else {
				missing -= domain[v]
			}
		}
		if last >= 0 {
			if missing < 0 || int(missing) >= k {
				return nil
			}
			assign(last, missing)
		}
	}
	members := make([][]int32, k)
	for e := range f.edges.len() {
		seen := 0
		for _, v := range f.edges.row(e) {
			if domain[v] < 0 {
				return nil
			}
			seen |= 1 << (domain[v] & 63)
		}
		if k > 62 || seen != 1<<k-1 {
			return nil
		}
	}
	for v, d := range domain {
		if d >= 0 {
			members[d] = append(members[d], int32(v))
		}
	}
	smallest := members[0]
	for _, c := range members {
		if len(c) < len(smallest) {
			smallest = c
		}
	}
	return smallest
}
