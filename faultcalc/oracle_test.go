package faultcalc_test

import (
	"math/big"
	"slices"
	"strings"

	"github.com/cutset-dev/cutset/faultcalc"
)

// oracle answers by brute force over all 2^n fault sets, straight from the
// words of the contract and the topology document. It shares no code with the
// package: names instead of indices, maps instead of bitsets, definitions
// instead of algorithms.
type oracle struct {
	topo     faultcalc.Topology
	table    faultcalc.Table
	level    faultcalc.Level
	all      []string // every node of the level, in topology order
	affected []string
}

func newOracle(topo faultcalc.Topology, table string, level faultcalc.Level) *oracle {
	o := &oracle{topo: topo, level: level}
	for _, t := range topo.Tables {
		if t.Name == table {
			o.table = t
		}
	}
	if level == faultcalc.LevelInstance {
		for _, n := range topo.Instances {
			o.all = append(o.all, n.Name)
		}
	} else {
		for _, m := range topo.Machines {
			name := m.Name
			if level != faultcalc.LevelMachine {
				name = m.Labels[string(level)]
			}
			if name != "" && !slices.Contains(o.all, name) {
				o.all = append(o.all, name)
			}
		}
	}
	holds := map[string]bool{}
	for _, s := range o.table.Shards {
		for _, r := range s.Replicas {
			holds[o.nodeOf(r.Instance)] = true
		}
	}
	for _, n := range o.all {
		if holds[n] {
			o.affected = append(o.affected, n)
		}
	}
	return o
}

func (o *oracle) nodeOf(instance string) string {
	if o.level == faultcalc.LevelInstance {
		return instance
	}
	for _, n := range o.topo.Instances {
		if n.Name != instance {
			continue
		}
		for _, m := range o.topo.Machines {
			if m.Name == n.Machine {
				if o.level == faultcalc.LevelMachine {
					return m.Name
				}
				return m.Labels[string(o.level)]
			}
		}
	}
	panic("unknown instance " + instance)
}

func (o *oracle) zone(node string) string {
	for _, m := range o.topo.Machines {
		for _, n := range o.topo.Instances {
			if m.Name == node || n.Name == node && n.Machine == m.Name {
				return m.Labels["zone"]
			}
		}
	}
	return ""
}

func (o *oracle) rule(s faultcalc.Shard) (faultcalc.Rule, int) {
	rule, k := s.Rule, s.K
	if rule == "" {
		rule = o.table.Rule
	}
	if rule == "" {
		rule = faultcalc.RuleAny
	}
	if k == 0 {
		k = o.table.K
	}
	return rule, k
}

// serves decides one shard, given which replicas are gone.
func (o *oracle) serves(s faultcalc.Shard, gone func(faultcalc.Replica) bool) bool {
	voters, liveVoters, liveData, livePrimary := 0, 0, 0, 0
	for _, r := range s.Replicas {
		up := r.State != faultcalc.StateUnavailable && !gone(r)
		if r.Role == faultcalc.RoleAsync {
			continue
		}
		voters++
		if up {
			liveVoters++
			if r.Role != faultcalc.RoleWitness {
				liveData++
			}
			if r.Role == faultcalc.RolePrimary {
				livePrimary++
			}
		}
	}
	rule, k := o.rule(s)
	switch rule {
	case faultcalc.RuleAny:
		return liveData > 0
	case faultcalc.RuleAtLeast:
		return liveData >= k
	case faultcalc.RulePrimary:
		return livePrimary > 0
	case faultcalc.RuleMajority:
		return 2*liveVoters > voters
	case faultcalc.RuleData:
		return liveData > 0 && 2*liveVoters > voters
	}
	panic("unknown rule " + rule)
}

func (o *oracle) down(failed map[string]bool) []int {
	var numbers []int
	for _, s := range o.table.Shards {
		if !o.serves(s, func(r faultcalc.Replica) bool { return failed[o.nodeOf(r.Instance)] }) {
			numbers = append(numbers, s.Number)
		}
	}
	return numbers
}

func (o *oracle) available(failed map[string]bool) bool { return len(o.down(failed)) == 0 }

func with(failed map[string]bool, more string) map[string]bool {
	c := map[string]bool{more: true}
	for k := range failed {
		c[k] = true
	}
	return c
}

func without(failed map[string]bool, less string) map[string]bool {
	c := map[string]bool{}
	for k := range failed {
		if k != less {
			c[k] = true
		}
	}
	return c
}

func (o *oracle) availability(failed map[string]bool) faultcalc.Availability {
	if !o.available(failed) {
		return faultcalc.Unavailable
	}
	for _, n := range o.all {
		if !o.available(with(failed, n)) {
			return faultcalc.NoBackup
		}
	}
	return faultcalc.Redundant
}

func (o *oracle) shard(s faultcalc.Shard, failed map[string]bool) faultcalc.ShardStatus {
	gone := func(f map[string]bool) func(faultcalc.Replica) bool {
		return func(r faultcalc.Replica) bool { return f[o.nodeOf(r.Instance)] }
	}
	st := faultcalc.ShardStatus{Number: s.Number, Availability: faultcalc.Redundant, ReplicaAvailability: faultcalc.Redundant}
	for _, r := range s.Replicas {
		data := r.Role != faultcalc.RoleAsync && r.Role != faultcalc.RoleWitness
		if data && r.State != faultcalc.StateUnavailable && !failed[o.nodeOf(r.Instance)] {
			st.Live++
		}
	}
	if !o.serves(s, gone(failed)) {
		st.Availability, st.ReplicaAvailability = faultcalc.Unavailable, faultcalc.Unavailable
		return st
	}
	for _, n := range o.all {
		if !o.serves(s, gone(with(failed, n))) {
			st.Availability = faultcalc.NoBackup
		}
	}
	for _, lost := range s.Replicas {
		if !o.serves(s, func(r faultcalc.Replica) bool { return gone(failed)(r) || r.Instance == lost.Instance }) {
			st.ReplicaAvailability = faultcalc.NoBackup
		}
	}
	return st
}

// subsets yields every subset of the affected nodes.
func (o *oracle) subsets(do func(failed map[string]bool)) {
	for mask := range 1 << len(o.affected) {
		failed := map[string]bool{}
		for i, n := range o.affected {
			if mask>>i&1 == 1 {
				failed[n] = true
			}
		}
		do(failed)
	}
}

// exactSets is the exact calculation, by definition.
type exactSets struct {
	cuts, keepers, facets [][]string
	survivable            int64
}

func (o *oracle) exact() exactSets {
	var x exactSets
	o.subsets(func(failed map[string]bool) {
		if !o.available(failed) {
			minimal := true
			for n := range failed {
				minimal = minimal && o.available(without(failed, n))
			}
			if minimal {
				x.cuts = append(x.cuts, o.sorted(failed))
			}
			return
		}
		x.survivable++
		maximal := true
		for _, n := range o.affected {
			maximal = maximal && (failed[n] || !o.available(with(failed, n)))
		}
		if maximal {
			x.facets = append(x.facets, o.sorted(failed))
			kept := map[string]bool{}
			for _, n := range o.affected {
				if !failed[n] {
					kept[n] = true
				}
			}
			x.keepers = append(x.keepers, o.sorted(kept))
		}
	})
	o.sortSets(x.cuts)
	o.sortSets(x.keepers)
	o.sortSets(x.facets)
	return x
}

// published follows the steps of the method with a dense tracking matrix.
func (o *oracle) published() (b []string, minimal, factors [][]string) {
	const one, zero, two, minusOne = 1, 0, 2, -1
	tracking := make([][]int, len(o.table.Shards))
	for i, s := range o.table.Shards {
		tracking[i] = make([]int, len(o.all))
		for j := range tracking[i] {
			tracking[i][j] = minusOne
		}
		for _, r := range s.Replicas {
			serves := r.Role != faultcalc.RoleAsync && r.Role != faultcalc.RoleWitness
			if serves && r.State != faultcalc.StateUnavailable {
				tracking[i][slices.Index(o.all, o.nodeOf(r.Instance))] = zero
			}
		}
	}
	keep := map[string]bool{}
	for {
		best, most := -1, 0
		for j := range o.all {
			zeros := 0
			for i := range tracking {
				if tracking[i][j] == zero {
					zeros++
				}
			}
			if zeros > most {
				best, most = j, zeros
			}
		}
		if best < 0 {
			break
		}
		keep[o.all[best]] = true
		for i := range tracking {
			if tracking[i][best] != zero {
				continue
			}
			tracking[i][best] = one
			for j := range tracking[i] {
				if tracking[i][j] == zero {
					tracking[i][j] = two
				}
			}
		}
	}
	b = o.sorted(keep)
	shards := slices.Clone(o.table.Shards)
	slices.SortFunc(shards, func(x, y faultcalc.Shard) int { return x.Number - y.Number })
	add := func(list [][]string, set []string) [][]string {
		if slices.ContainsFunc(list, func(x []string) bool { return slices.Equal(x, set) }) {
			return list
		}
		return append(list, set)
	}
	for i := len(shards) - 1; i >= 0; i-- {
		u := map[string]bool{}
		for n := range keep {
			u[n] = true
		}
		for _, r := range shards[i].Replicas {
			u[o.nodeOf(r.Instance)] = true
		}
		if set := o.sorted(u); !slices.Equal(set, o.affected) {
			minimal = add(minimal, set)
		}
	}
	for _, s := range minimal {
		factors = add(factors, s)
	}
	factors = add(factors, o.affected)
	o.subsets(func(failed map[string]bool) {
		for n := range failed {
			if keep[n] {
				return
			}
		}
		factors = add(factors, o.sorted(failed))
	})
	return b, minimal, factors
}

// decided counts the fault sets that the tested ones decide.
func (o *oracle) decided(tested [][]string) *big.Int {
	n := int64(0)
	o.subsets(func(failed map[string]bool) {
		x := o.sorted(failed)
		for _, t := range tested {
			set := map[string]bool{}
			for _, v := range t {
				set[v] = true
			}
			if !o.available(set) && subset(t, x) || o.available(set) && subset(x, t) {
				n++
				return
			}
		}
	})
	return big.NewInt(n)
}

func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(v string) bool { return !slices.Contains(b, v) })
}

// sorted lists a set in topology order.
func (o *oracle) sorted(set map[string]bool) []string {
	names := []string{}
	for _, n := range o.all {
		if set[n] {
			names = append(names, n)
		}
	}
	return names
}

// sortSets orders by size, then lexicographically in topology order.
func (o *oracle) sortSets(sets [][]string) {
	rank := func(set []string) string {
		var b strings.Builder
		for _, n := range set {
			b.WriteByte(byte(slices.Index(o.all, n)))
		}
		return b.String()
	}
	slices.SortFunc(sets, func(a, b []string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(rank(a), rank(b))
	})
}
