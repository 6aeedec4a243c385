package cli

import (
	"bufio"
	"fmt"

	"github.com/cutset-dev/cutset/faultcalc"
)

// dot draws the machines with their instances, the shards on them, and the
// minimal cut sets as far as the limit goes.
func (a *app) dot() error {
	w := bufio.NewWriter(a.stdout)
	table := a.topology.Tables[0]
	for _, t := range a.topology.Tables {
		if t.Name == a.model.Table() {
			table = t
		}
	}
	st := a.model.Status(faultcalc.Set{})
	printf(w, "graph faultcalc {\n  label=%q;\n  node [fontname=\"Helvetica\"];\n", fmt.Sprintf("table %s: %s", table.Name, st.Availability))
	for i, m := range a.topology.Machines {
		printf(w, "  subgraph cluster_%d {\n    label=%q;\n", i, m.Name)
		printf(w, "    %q [shape=point, style=invis];\n", "machine "+m.Name)
		for _, n := range a.topology.Instances {
			if n.Machine == m.Name {
				printf(w, "    %q [label=%q, shape=cylinder];\n", "instance "+n.Name, n.Name)
			}
		}
		printLine(w, "  }")
	}
	colour := map[faultcalc.Availability]string{faultcalc.Redundant: "palegreen", faultcalc.NoBackup: "khaki", faultcalc.Unavailable: "lightcoral"}
	for i, s := range table.Shards {
		id := fmt.Sprintf("shard %d", s.Number)
		printf(w, "  %q [shape=box, style=filled, fillcolor=%s];\n", id, colour[st.Shards[i].Availability])
		for _, r := range s.Replicas {
			style := "solid"
			if r.State == faultcalc.StateUnavailable {
				style = "dotted"
			}
			printf(w, "  %q -- %q [label=%q, style=%s];\n", id, "instance "+r.Instance, r.Role, style)
		}
	}
	a.dotCuts(w)
	printLine(w, "}")
	return w.Flush()
}

func (a *app) dotCuts(w *bufio.Writer) {
	i := 0
	for s := range a.limited("minimal cut sets", a.model.MinimalCutSets()) {
		i++
		cut := fmt.Sprintf("cut %d", i)
		printf(w, "  %q [label=%q, shape=octagon, color=red, fontcolor=red];\n", cut, braces(a.names(s)))
		for _, name := range a.names(s) {
			for _, end := range a.drawn(name) {
				printf(w, "  %q -- %q [color=red, style=dashed];\n", cut, end)
			}
		}
	}
}

// drawn returns what stands for a node of the model in the drawing.
func (a *app) drawn(node string) []string {
	if a.model.Level() == faultcalc.LevelInstance {
		return []string{"instance " + node}
	}
	var ends []string
	for _, m := range a.topology.Machines {
		if a.model.Level() == faultcalc.LevelMachine && m.Name == node || m.Labels[string(a.model.Level())] == node {
			ends = append(ends, "machine "+m.Name)
		}
	}
	return ends
}
