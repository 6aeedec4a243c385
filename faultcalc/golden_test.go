package faultcalc_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"

	"github.com/cutset-dev/cutset/faultcalc"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden prints every set of hand-checked topologies. An archive has a
// topology.yaml and one want file per level.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var topo faultcalc.Topology
			if err := yaml.UnmarshalStrict(ar.Files[0].Data, &topo); err != nil {
				t.Fatal(err)
			}
			for i := range ar.Files[1:] {
				want := &ar.Files[i+1]
				got := []byte(describe(t, topo, faultcalc.Level(want.Name)))
				if *update {
					want.Data = got
				} else if !bytes.Equal(got, want.Data) {
					t.Errorf("level %s (-want +got):\n%s", want.Name, cmp.Diff(string(want.Data), string(got)))
				}
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(ar), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// describe prints the sets of a model in the words of the method file.
func describe(t *testing.T, topo faultcalc.Topology, level faultcalc.Level) string {
	t.Helper()
	m, err := faultcalc.Compile(topo, "", level)
	if err != nil {
		return fmt.Sprintf("error: %v\n", err)
	}
	var b strings.Builder
	set := func(s faultcalc.Set) string { return "{" + strings.Join(m.Names(s), ",") + "}" }
	line := func(name string, values ...string) { fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(values, " ")) }
	list := func(name string, sets iter.Seq[faultcalc.Set], sorted bool) {
		all := clones(sets)
		if sorted {
			slices.SortFunc(all, faultcalc.Set.Compare)
		}
		var words []string
		for _, s := range all {
			words = append(words, set(s))
		}
		line(name, words...)
	}
	status, err := json.Marshal(m.Status(faultcalc.Set{}))
	if err != nil {
		t.Fatal(err)
	}
	line("status", string(status))
	if p, err := m.Published(); err != nil {
		line("published", err.Error())
	} else {
		line("A", set(p.Affected))
		line("B", set(p.Keepers))
		line("C", set(p.Removable))
		list("power set of C", p.PowerSet(), false)
		list("minimal subsets", p.MinimalSubsets(), false)
		list("fault factors", p.FaultFactors(), false)
	}
	list("minimal cut sets", m.MinimalCutSets(), false)
	list("minimal keeper sets", m.MinimalKeeperSets(), true)
	list("maximal survivable sets", m.MaximalSurvivableSets(), true)
	for f := range m.Plan(faultcalc.PlanSpec{Boundary: true, Published: true}) {
		line("case "+f.ID, string(f.Class), string(f.Predict), fmt.Sprint(f.UnavailableShards))
	}
	return b.String()
}
