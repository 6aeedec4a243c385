package faultcalc

import (
	"fmt"
	"math"
)

// What a replica counts for. A replica that is down has none of the live bits.
const (
	liveData    uint8 = 1 << iota // up, and holds data that may serve
	liveVoter                     // up, and votes
	livePrimary                   // up, and accepts writes
	isVoter                       // votes when it is up
	isDown
	roleStandby // the role itself: 0 for primary
	roleAsync
	roleWitness
)

// index finds machines and instances by name and remembers what is wrong.
type index struct {
	problems
	t        Topology
	machine  map[string]int32
	instance map[string]int32
	on       []int32 // the machine of each instance, -1 if it is unknown
}

func newIndex(t Topology) *index {
	x := &index{
		t:        t,
		machine:  make(map[string]int32, len(t.Machines)),
		instance: make(map[string]int32, len(t.Instances)),
		on:       make([]int32, len(t.Instances)),
	}
	for i, m := range t.Machines {
		path := func(f string) string { return fmt.Sprintf("machines[%d].%s", i, f) }
		if j, dup := x.machine[m.Name]; m.Name == "" {
			x.add(path("name"), "the machine has no name; write one that is unique")
		} else if dup {
			x.add(path("name"), "machine %q is already machines[%d]; write a name of its own", m.Name, j)
		} else {
			x.machine[m.Name] = int32(i)
		}
		if p := m.FailureProbability; math.IsNaN(p) || p < 0 || p > 1 {
			x.add(path("failureProbability"), "%v is not a probability; write a number from 0 to 1", p)
		}
	}
	for i, n := range t.Instances {
		path := func(f string) string { return fmt.Sprintf("instances[%d].%s", i, f) }
		if j, dup := x.instance[n.Name]; n.Name == "" {
			x.add(path("name"), "the instance has no name; write one that is unique")
		} else if dup {
			x.add(path("name"), "instance %q is already instances[%d]; write a name of its own", n.Name, j)
		} else {
			x.instance[n.Name] = int32(i)
		}
		m, ok := x.machine[n.Machine]
		if x.on[i] = m; !ok {
			x.on[i] = -1
			x.add(path("machine"), "no machine is called %q; write one of %s, or list it under machines", n.Machine, oneOf(x.machineNames()))
		}
	}
	return x
}

func (x *index) machineNames() []string {
	names := make([]string, len(x.t.Machines))
	for i, m := range x.t.Machines {
		names[i] = m.Name
	}
	return names
}

func (x *index) instanceNames() []string {
	names := make([]string, len(x.t.Instances))
	for i, n := range x.t.Instances {
		names[i] = n.Name
	}
	return names
}

// placed is a table with its names resolved: replica i of shard s is at
// position off[s]+i of inst and flags.
type placed struct {
	number []int
	rule   []Rule // the effective rule of each shard
	k      []int  // its K, 0 unless the rule is RuleAtLeast
	off    []int32
	inst   []int32
	flags  []uint8
}

// place resolves table i and reports everything that is wrong with it.
func (x *index) place(i int) *placed {
	t := &x.t.Tables[i]
	tablePath := fmt.Sprintf("tables[%d]", i)
	x.checkRule(tablePath, t.Rule, t.K)
	total := 0
	for s := range t.Shards {
		total += len(t.Shards[s].Replicas)
	}
	p := &placed{
		number: make([]int, len(t.Shards)),
		rule:   make([]Rule, len(t.Shards)),
		k:      make([]int, len(t.Shards)),
		off:    make([]int32, 1, len(t.Shards)+1),
		inst:   make([]int32, 0, total),
		flags:  make([]uint8, 0, total),
	}
	seen := make([]int32, len(x.t.Instances)) // 1 + the last shard that used the instance
	numbers := newNumbers(len(t.Shards))
	for s := range t.Shards {
		sh := &t.Shards[s]
		path := func(f string) string { return fmt.Sprintf("%s.shards[%d]%s", tablePath, s, f) }
		if sh.Number < 0 {
			x.add(path(".number"), "shard number %d is negative; write 0 or more", sh.Number)
		} else if first := numbers.first(sh.Number, s); first != s {
			x.add(path(".number"), "shard %d is already shards[%d]; write a number of its own", sh.Number, first)
		}
		p.number[s] = sh.Number
		p.rule[s], p.k[s] = x.effective(t, sh, path)
		for r := range sh.Replicas {
			x.placeReplica(p, &sh.Replicas[r], seen, int32(s), func(f string) string {
				return path(fmt.Sprintf(".replicas[%d].%s", r, f))
			})
		}
		p.off = append(p.off, int32(len(p.inst)))
	}
	return p
}

func (x *index) placeReplica(p *placed, r *Replica, seen []int32, shard int32, path func(string) string) {
	inst, ok := x.instance[r.Instance]
	switch {
	case !ok:
		x.add(path("instance"), "no instance is called %q; write one of %s, or list it under instances", r.Instance, oneOf(x.instanceNames()))
		inst = -1
	case seen[inst] == shard+1:
		x.add(path("instance"), "instance %q already holds a copy of this shard; copies of one shard never share an instance", r.Instance)
	default:
		seen[inst] = shard + 1
	}
	var f uint8
	switch r.Role {
	case RolePrimary:
		f = liveData | liveVoter | livePrimary | isVoter
	case RoleStandby, "":
		f = liveData | liveVoter | isVoter | roleStandby
	case RoleWitness:
		f = liveVoter | isVoter | roleWitness
	case RoleAsync:
		f = roleAsync
	default:
		x.add(path("role"), "%q is not a role; write one of primary, standby, async, witness", r.Role)
	}
	switch r.State {
	case StateAvailable, "":
	case StateUnavailable:
		f = f&^(liveData|liveVoter|livePrimary) | isDown
	default:
		x.add(path("state"), "%q is not a state; write available or unavailable", r.State)
	}
	p.inst = append(p.inst, inst)
	p.flags = append(p.flags, f)
}

// checkRule checks the rule of a table by itself; a K without a rule that uses
// it is allowed there, since shards can inherit it.
func (x *index) checkRule(path string, r Rule, k int) {
	if r != "" && !r.known() {
		x.add(path+".rule", "%q is not a rule; write one of any, majority, atLeast, primary, data", r)
	}
	if k < 0 {
		x.add(path+".k", "k is %d; write how many live copies are needed, 1 or more", k)
	}
}

// effective returns the rule of a shard after inheritance.
func (x *index) effective(t *Table, sh *Shard, path func(string) string) (Rule, int) {
	rule, k := sh.Rule, sh.K
	switch {
	case rule == "" && t.Rule == "":
		rule = RuleAny
	case rule == "":
		rule = t.Rule
	case !rule.known():
		x.add(path(".rule"), "%q is not a rule; write one of any, majority, atLeast, primary, data", rule)
		return RuleAny, 0
	}
	if rule != RuleAtLeast {
		if sh.K != 0 {
			x.add(path(".k"), "k is only for rule atLeast, but the rule here is %s; remove k, or write rule: atLeast", rule)
		}
		return rule, 0
	}
	if k == 0 {
		k = t.K
	}
	if k < 1 {
		x.add(path(".k"), "rule atLeast needs to know how many live copies; write k: 1 or more here or at the table")
		k = 1
	}
	return rule, k
}

func (r Rule) known() bool {
	switch r {
	case RuleAny, RuleMajority, RuleAtLeast, RulePrimary, RuleData:
		return true
	default:
		return false
	}
}

// numbers finds repeated shard numbers without hashing while they are dense.
type numbers struct {
	dense  []int32 // 1 + position of the first shard with that number
	sparse map[int]int
}

func newNumbers(shards int) *numbers {
	return &numbers{dense: make([]int32, 2*shards+2), sparse: map[int]int{}}
}

// first returns the position of the first shard that had this number.
func (n *numbers) first(number, pos int) int {
	if number < len(n.dense) {
		if n.dense[number] == 0 {
			n.dense[number] = int32(pos) + 1
		}
		return int(n.dense[number]) - 1
	}
	if f, ok := n.sparse[number]; ok {
		return f
	}
	n.sparse[number] = pos
	return pos
}

// Validate checks the whole topology and returns every problem it has, each a
// [*Problem], joined; nil if there is none. Names must be unique, references
// must lead somewhere, and rules, roles, states, numbers and probabilities
// must be ones that exist.
func (t Topology) Validate() error {
	x := newIndex(t)
	names := make(map[string]int, len(t.Tables))
	for i := range t.Tables {
		path := fmt.Sprintf("tables[%d].name", i)
		name := t.Tables[i].Name
		if j, dup := names[name]; name == "" {
			x.add(path, "the table has no name; write one that is unique")
		} else if dup {
			x.add(path, "table %q is already tables[%d]; write a name of its own", name, j)
		} else {
			names[name] = i
		}
		x.place(i)
	}
	return x.err()
}
