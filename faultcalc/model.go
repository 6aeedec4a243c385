package faultcalc

import (
	"fmt"
	"slices"
	"sync"
)

// Model is one table of a topology, seen at one level: the nodes that can
// fail, and what each shard needs of them. It never changes, so it is safe for
// concurrent use.
type Model struct {
	table       string
	level       Level
	nodes       []string
	byName      map[string]int32
	probability []float64

	affected  Set
	nAffected int
	allAny    bool // every shard has RuleAny: the published method applies

	// What symmetry and failure domains are made of.
	placed *placed
	nodeOf []int32             // node of each instance
	labels []map[string]string // per node; nil at a label level

	number []int // shard numbers, in the order of the topology
	rows   rows
	copies csr // per shard, the distinct nodes of all its replicas, live or not

	// The exact calculation is made on first use and then shared.
	cutsOnce  sync.Once
	cutFam    *family
	partsOnce sync.Once
	partList  []*part
	look      lookup

	catalogOnce sync.Once
	catalog     *catalog
}

// csr is a list of short lists of node indices in two flat slices.
type csr struct {
	off  []int32
	elem []int32
}

func (c *csr) len() int            { return len(c.off) - 1 }
func (c *csr) row(i int) []int32   { return c.elem[c.off[i]:c.off[i+1]] }
func (c *csr) push(elems ...int32) { c.elem = append(c.elem, elems...); c.close() }
func (c *csr) close()              { c.off = append(c.off, int32(len(c.elem))) }

// rows are the threshold constraints that a table is a conjunction of: row r
// is met while the weights of its surviving nodes add up to need[r] or more.
// Every rule is one or two rows, and the first row of a shard is always its
// live data copies (with need 0 if the rule does not ask for them), so that
// they can be counted.
type rows struct {
	csr
	weight []int32 // parallel to elem: live replicas of the row on that node
	need   []int32
	first  []int32 // per shard its first row; one more entry than shards
}

// Compile resolves one table of a topology at one level. An empty table name
// means the only table there is.
//
// The nodes are all machines, all instances, or all values of the label, in
// the order of the topology (for a label: of its first machine). [reading] A
// machine that runs an instance of the table has to carry the label; other
// machines without it are left out.
//
// Errors: the [*Problem]s of the topology (ErrInvalid), ErrUnknownTable,
// ErrUnknownLevel, ErrTooWide.
func Compile(t Topology, table string, level Level) (*Model, error) {
	at := slices.IndexFunc(t.Tables, func(x Table) bool { return x.Name == table })
	if table == "" && len(t.Tables) == 1 {
		at = 0
	}
	if at < 0 {
		names := make([]string, len(t.Tables))
		for i := range t.Tables {
			names[i] = t.Tables[i].Name
		}
		return nil, fmt.Errorf("compile table %q: %w; write one of %s", table, ErrUnknownTable, oneOf(names))
	}
	x := newIndex(t)
	p := x.place(at)
	if err := x.err(); err != nil {
		return nil, fmt.Errorf("compile table %q: %w", t.Tables[at].Name, err)
	}
	m := &Model{table: t.Tables[at].Name, level: level, number: p.number}
	nodeOf, err := m.setNodes(x, p, level)
	if err != nil {
		return nil, fmt.Errorf("compile table %q at level %q: %w", m.table, level, err)
	}
	m.allAny = !slices.ContainsFunc(p.rule, func(r Rule) bool { return r != RuleAny })
	m.placed, m.nodeOf = p, nodeOf
	m.build(p, nodeOf)
	if err := m.checkWidth(); err != nil {
		return nil, fmt.Errorf("compile table %q at level %q: %w", m.table, level, err)
	}
	return m, nil
}

// setNodes names the nodes of the level and returns the node of each instance.
func (m *Model) setNodes(x *index, p *placed, level Level) ([]int32, error) {
	switch level {
	case LevelMachine:
		m.nodes = x.machineNames()
		for _, mc := range x.t.Machines {
			m.probability = append(m.probability, mc.FailureProbability)
			m.labels = append(m.labels, mc.Labels)
		}
		m.byName = x.machine
		return x.on, nil
	case LevelInstance:
		m.nodes = x.instanceNames()
		nodeOf := make([]int32, len(x.on))
		for i := range nodeOf {
			nodeOf[i] = int32(i)
			mc := &x.t.Machines[x.on[i]]
			m.probability = append(m.probability, mc.FailureProbability)
			m.labels = append(m.labels, mc.Labels)
		}
		m.byName = x.instance
		return nodeOf, nil
	default:
		return m.setDomains(x, p, string(level))
	}
}

// setDomains makes a node of every value of a label.
func (m *Model) setDomains(x *index, p *placed, label string) ([]int32, error) {
	domain := make([]int32, len(x.t.Machines))
	m.byName = map[string]int32{}
	for i, mc := range x.t.Machines {
		domain[i] = -1
		value, ok := mc.Labels[label]
		if !ok || value == "" {
			continue
		}
		d, ok := m.byName[value]
		if !ok {
			d = int32(len(m.nodes))
			m.byName[value] = d
			m.nodes = append(m.nodes, value)
			m.probability = append(m.probability, 1)
		}
		domain[i] = d
		m.probability[d] *= mc.FailureProbability
	}
	if len(m.nodes) == 0 {
		return nil, fmt.Errorf("%w: no machine has the label %q; write machine, instance or one of the label keys", ErrUnknownLevel, label)
	}
	nodeOf := make([]int32, len(x.on))
	for i, on := range x.on {
		nodeOf[i] = domain[on]
	}
	for _, i := range p.inst {
		if nodeOf[i] < 0 {
			mc := x.t.Machines[x.on[i]].Name
			return nil, fmt.Errorf("%w: machine %q runs instance %q of the table, but has no label %q; add it under machines",
				ErrUnknownLevel, mc, x.t.Instances[i].Name, label)
		}
	}
	return nodeOf, nil
}

// build lists the copies of every shard and turns it into rows.
func (m *Model) build(p *placed, nodeOf []int32) {
	m.affected = newSet(len(m.nodes))
	m.copies.off = make([]int32, 1, len(p.rule)+1)
	m.copies.elem = make([]int32, 0, len(p.inst))
	all := liveData
	var nodes []int32
	for s := range p.rule {
		nodes = nodes[:0]
		for i := p.off[s]; i < p.off[s+1]; i++ {
			n := nodeOf[p.inst[i]]
			nodes = append(nodes, n)
			m.affected.add(int(n))
			all &= p.flags[i]
		}
		m.copies.pushDistinct(nodes)
	}
	m.nAffected = m.affected.Len()
	if m.allAny && all != 0 && len(m.copies.elem) == len(p.inst) {
		// Every copy serves, on a node of its own: the copies are the rows.
		ones := slices.Repeat([]int32{1}, max(len(p.inst), len(p.rule)))
		m.rows = rows{csr: m.copies, weight: ones[:len(p.inst)], need: ones[:len(p.rule)], first: upTo(len(p.rule))}
		return
	}
	m.rows.build(p, nodeOf)
}

// upTo returns 0 to n.
func upTo(n int) []int32 {
	list := make([]int32, n+1)
	for i := range list {
		list[i] = int32(i)
	}
	return list
}

func (r *rows) build(p *placed, nodeOf []int32) {
	r.off = make([]int32, 1, len(p.rule)+1)
	r.elem = make([]int32, 0, len(p.inst))
	r.weight = make([]int32, 0, len(p.inst))
	r.need = make([]int32, 0, len(p.rule))
	r.first = make([]int32, 0, len(p.rule)+1)
	var nodes []int32
	for s, rule := range p.rule {
		lo, hi := p.off[s], p.off[s+1]
		flags := p.flags[lo:hi]
		nodes = nodes[:0]
		voters := int32(0)
		for i, inst := range p.inst[lo:hi] {
			nodes = append(nodes, nodeOf[inst])
			if flags[i]&isVoter != 0 {
				voters++
			}
		}
		r.first = append(r.first, int32(len(r.need)))
		majority := voters/2 + 1
		switch rule {
		case RuleAny:
			r.push(nodes, flags, liveData, 1)
		case RuleAtLeast:
			r.push(nodes, flags, liveData, int32(min(p.k[s], 1<<30)))
		case RulePrimary:
			r.push(nodes, flags, liveData, 0)
			r.push(nodes, flags, livePrimary, 1)
		case RuleMajority:
			r.push(nodes, flags, liveData, 0)
			r.push(nodes, flags, liveVoter, majority)
		case RuleData:
			r.push(nodes, flags, liveData, 1)
			r.push(nodes, flags, liveVoter, majority)
		}
	}
	r.first = append(r.first, int32(len(r.need)))
}

// pushDistinct appends a row with the nodes in ascending order, each once.
// Rows are short, so that insertion is the fastest way to sort them.
func (c *csr) pushDistinct(nodes []int32) {
	start := len(c.elem)
	for _, n := range nodes {
		at := len(c.elem)
		c.elem = append(c.elem, n)
		for at > start && c.elem[at-1] > n {
			c.elem[at] = c.elem[at-1]
			at--
		}
		c.elem[at] = n
	}
	if len(c.elem) > start {
		c.elem = c.elem[:start+len(slices.Compact(c.elem[start:]))]
	}
	c.close()
}

// push appends the row of the replicas that have the flag: nodes in ascending
// order, with the number of such replicas on each.
func (r *rows) push(nodes []int32, flags []uint8, want uint8, need int32) {
	start := len(r.elem)
	for i, n := range nodes {
		if flags[i]&want == 0 {
			continue
		}
		at := len(r.elem)
		r.elem, r.weight = append(r.elem, n), append(r.weight, 1)
		for at > start && r.elem[at-1] > n {
			r.elem[at], r.weight[at] = r.elem[at-1], r.weight[at-1]
			at--
		}
		r.elem[at], r.weight[at] = n, 1
	}
	end := start
	for i := start; i < len(r.elem); i++ {
		if end > start && r.elem[end-1] == r.elem[i] {
			r.weight[end-1] += r.weight[i]
			continue
		}
		r.elem[end], r.weight[end] = r.elem[i], r.weight[i]
		end++
	}
	r.elem, r.weight = r.elem[:end], r.weight[:end]
	r.close()
	r.need = append(r.need, need)
}

// Table is the name of the table.
func (m *Model) Table() string { return m.table }

// Level is what a node is in this model.
func (m *Model) Level() Level { return m.level }

// Nodes returns the names of all nodes of the level in topology order, those
// without a replica of the table among them; a Set holds indices into it.
func (m *Model) Nodes() []string { return slices.Clone(m.nodes) }

// Affected returns A, the nodes that hold a replica of the table. [reading]
// Every replica counts, whatever its role and state.
//
// A is also the universe of the exact calculation: n in "all 2^n fault sets"
// is its size, and maximal survivable sets are its subsets. Nodes outside A
// change nothing when they fail.
func (m *Model) Affected() Set { return m.affected.Clone() }

// SetOf returns the set of the named nodes, or an error that wraps
// ErrUnknownNode.
func (m *Model) SetOf(names ...string) (Set, error) {
	s := newSet(len(m.nodes))
	for _, name := range names {
		i, ok := m.byName[name]
		if !ok {
			return Set{}, fmt.Errorf("%w: %q at level %q; write one of %s", ErrUnknownNode, name, m.level, oneOf(m.nodes))
		}
		s.add(int(i))
	}
	return s, nil
}

// Names returns the names of the nodes of a set, in topology order.
func (m *Model) Names(s Set) []string {
	names := make([]string, 0, s.Len())
	for i := range s.All() {
		names = append(names, m.nodes[i])
	}
	return names
}
