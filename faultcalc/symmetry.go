package faultcalc

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// swapClasses are groups of nodes that can stand for each other: swapping two
// of them changes nothing but their names. A nil *swapClasses means that every
// node stands for itself alone.
type swapClasses struct{ members [][]int } // of 2 or more nodes, ascending

// swapClasses groups the affected nodes by what could tell them apart: which
// replicas of which shards they hold, in which role and state, the failure
// probability, and the labels.
func (m *Model) swapClasses() *swapClasses {
	held := make([][]uint64, len(m.nodes))
	for s := range m.number {
		for i := m.placed.off[s]; i < m.placed.off[s+1]; i++ {
			v := m.nodeOf[m.placed.inst[i]]
			held[v] = append(held[v], uint64(s)<<8|uint64(m.placed.flags[i]))
		}
	}
	at := map[string]int{}
	var groups [][]int
	for v := range m.affected.All() {
		slices.Sort(held[v])
		var key []byte
		for _, h := range held[v] {
			key = binary.BigEndian.AppendUint64(key, h)
		}
		var tail strings.Builder
		fmt.Fprintf(&tail, "|%v", m.probability[v])
		if m.labels != nil {
			for _, k := range slices.Sorted(maps.Keys(m.labels[v])) {
				fmt.Fprintf(&tail, "|%q=%q", k, m.labels[v][k])
			}
		}
		k := string(key) + tail.String()
		g, ok := at[k]
		if !ok {
			g = len(groups)
			at[k] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], v)
	}
	c := &swapClasses{}
	for _, g := range groups {
		if len(g) > 1 {
			c.members = append(c.members, g)
		}
	}
	return c
}

func countIn(s Set, members []int) int {
	n := 0
	for _, v := range members {
		if s.Contains(v) {
			n++
		}
	}
	return n
}

// canonical returns the set of the same orbit that has the first members of
// every class.
func (c *swapClasses) canonical(s Set) Set {
	if c == nil || s.IsEmpty() {
		return s
	}
	rep := s.Clone()
	for _, members := range c.members {
		n := countIn(s, members)
		for i, v := range members {
			rep.remove(v)
			if i < n {
				rep.add(v)
			}
		}
	}
	return rep
}

// canonicalWithin says whether s has the first members of every class that are
// in the universe: of every orbit, one subset of the universe has.
func (c *swapClasses) canonicalWithin(s, universe Set) bool {
	if c == nil {
		return true
	}
	for _, members := range c.members {
		gap := false
		for _, v := range members {
			if !universe.Contains(v) {
				continue
			}
			in := s.Contains(v)
			if in && gap {
				return false
			}
			gap = gap || !in
		}
	}
	return true
}

// fitsInto says whether some set of the orbit of s is a subset of the universe.
func (c *swapClasses) fitsInto(s, universe Set) bool {
	if c == nil {
		return s.SubsetOf(universe)
	}
	rest := s.Clone()
	for _, members := range c.members {
		if countIn(s, members) > countIn(universe, members) {
			return false
		}
		for _, v := range members {
			if v>>6 < len(rest.w) {
				rest.remove(v)
			}
		}
	}
	return rest.SubsetOf(universe)
}

// orbit is the number of sets that s stands for.
func (c *swapClasses) orbit(s Set) *big.Int {
	size := big.NewInt(1)
	if c == nil {
		return size
	}
	for _, members := range c.members {
		size.Mul(size, new(big.Int).Binomial(int64(len(members)), int64(countIn(s, members))))
	}
	return size
}

// domain is the affected nodes that share the value of a label.
type domain struct {
	value string
	nodes Set
}

// domainsOf returns the domains of a label by their first node.
func (m *Model) domainsOf(label string) []domain {
	var domains []domain
	if m.labels == nil {
		return nil
	}
	for v := range m.affected.All() {
		value, ok := m.labels[v][label]
		if !ok || value == "" {
			continue
		}
		i := slices.IndexFunc(domains, func(d domain) bool { return d.value == value })
		if i < 0 {
			i = len(domains)
			domains = append(domains, domain{value, newSet(len(m.nodes))})
		}
		domains[i].nodes.add(v)
	}
	return domains
}
