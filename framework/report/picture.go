package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/verdict"
)

// picture is the topology at one fault level: nodes by shards with roles, and nodes by minimal cut sets. It is a matrix by nature,
// so the page shows it as a table: readable without JavaScript and by a screen reader.
type picture struct {
	Level  faultcalc.Level
	Shards []int
	Cuts   []cutSet
	More   int // cut sets that are not shown
	Rows   []pictureRow
	Single []string // nodes that are a single point of failure
}

// cutSet is a minimal cut set and what the run found out about it.
type cutSet struct {
	Nodes  []string
	Shards []int // that it takes down
	Tested []tested
}

// tested is a case that kept exactly the nodes of a cut set down, or all repeats of one; a fault that passes by itself does not test one.
type tested struct {
	ID      string // of the worst run
	Kind    string
	Outcome verdict.Outcome
	Runs    int
}

type pictureRow struct {
	Node   string
	Single bool
	Roles  [][]placedReplica // by shard
	In     []membership      // by cut set
}

// placedReplica is one copy of a shard.
type placedReplica struct {
	Instance string
	Role     faultcalc.Role
	Down     bool // before any fault
}

// Letter stands for the role where there is little room.
func (r placedReplica) Letter() string { return strings.ToUpper(string(r.Role[0])) }

// membership says how a row meets a cut set's column: whether the node is in the set, and whether others are above and below it, so
// that a line can join them.
type membership struct{ Member, Above, Below bool }

// The most that a picture shows.
const (
	mostCuts      = 24
	mostCutsAsked = 5000 // before the smallest of them are chosen
	manyShards    = 8    // from which on roles are letters
)

// Narrow tells whether there is little room for each shard.
func (p picture) Narrow() bool { return len(p.Shards) > manyShards }

// pictures draws the table under test at every level of the report.
func (r *Report) pictures(topology faultcalc.Topology) ([]picture, error) {
	if len(topology.Tables) == 0 {
		return nil, nil
	}
	table := topology.Tables[0]
	var all []picture
	for _, c := range r.Coverage {
		model, err := faultcalc.Compile(topology, table.Name, c.Level)
		if err != nil {
			return nil, err
		}
		p := picture{Level: c.Level}
		for _, s := range table.Shards {
			p.Shards = append(p.Shards, s.Number)
		}
		p.cut(model, r.Cases)
		for _, node := range model.Nodes() {
			p.Rows = append(p.Rows, p.row(topology, node))
		}
		p.connect()
		all = append(all, p)
	}
	return all, nil
}

// cut lists the smallest minimal cut sets.
func (p *picture) cut(model *faultcalc.Model, cases []Case) {
	asked := 0
	for set := range model.MinimalCutSets() {
		if asked++; asked > mostCutsAsked {
			break
		}
		status := model.Status(set)
		p.Cuts = append(p.Cuts, cutSet{Nodes: model.Names(set), Shards: status.UnavailableShards()})
	}
	slices.SortStableFunc(p.Cuts, func(a, b cutSet) int { return cmp.Compare(len(a.Nodes), len(b.Nodes)) })
	if len(p.Cuts) > mostCuts {
		p.More = len(p.Cuts) - mostCuts
		p.Cuts = p.Cuts[:mostCuts]
	}
	for i := range p.Cuts {
		cut := &p.Cuts[i]
		if len(cut.Nodes) == 1 {
			p.Single = append(p.Single, cut.Nodes[0])
		}
		for _, c := range cases {
			if c.Level == p.Level && c.Predict == faultcalc.Unavailable && slices.Equal(c.Nodes, cut.Nodes) {
				cut.test(c)
			}
		}
	}
}

func (cut *cutSet) test(c Case) {
	i := slices.IndexFunc(cut.Tested, func(t tested) bool { return t.Kind == c.Kind })
	if i < 0 {
		cut.Tested = append(cut.Tested, tested{c.ID, c.Kind, c.Verdict.Outcome, 1})
		return
	}
	t := &cut.Tested[i]
	if t.Runs++; rank[c.Verdict.Outcome] > rank[t.Outcome] {
		t.ID, t.Outcome = c.ID, c.Verdict.Outcome
	}
}

func (p *picture) row(topology faultcalc.Topology, node string) pictureRow {
	row := pictureRow{Node: node, Single: slices.Contains(p.Single, node)}
	for _, s := range topology.Tables[0].Shards {
		var here []placedReplica
		for _, r := range s.Replicas {
			if nodeOf(topology, p.Level, r.Instance) == node {
				here = append(here, placedReplica{r.Instance, cmp.Or(r.Role, faultcalc.RoleStandby), r.State == faultcalc.StateUnavailable})
			}
		}
		row.Roles = append(row.Roles, here)
	}
	for _, cut := range p.Cuts {
		row.In = append(row.In, membership{Member: slices.Contains(cut.Nodes, node)})
	}
	return row
}

// connect finds the rows that the line through the members of each cut set passes.
func (p *picture) connect() {
	for c := range p.Cuts {
		passed := 0
		for i := range p.Rows {
			m := &p.Rows[i].In[c]
			m.Above = passed > 0
			if m.Member {
				passed++
			}
			m.Below = passed > 0 && passed < len(p.Cuts[c].Nodes)
			m.Above = m.Above && (m.Member || m.Below)
		}
	}
}

// nodeOf returns the node of a level that an instance fails with.
func nodeOf(topology faultcalc.Topology, level faultcalc.Level, instance string) string {
	if level == faultcalc.LevelInstance {
		return instance
	}
	machine := ""
	for _, i := range topology.Instances {
		if i.Name == instance {
			machine = i.Machine
		}
	}
	if level == faultcalc.LevelMachine {
		return machine
	}
	for _, m := range topology.Machines {
		if m.Name == machine {
			return m.Labels[string(level)]
		}
	}
	return ""
}
