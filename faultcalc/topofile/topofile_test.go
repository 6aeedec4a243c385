package topofile_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/faultcalc/topofile"
)

const good = `
machines:
  - {name: m1, labels: {zone: a}, failureProbability: 0.01, addresses: [10.0.0.1]}
  - &m {name: m2, labels: {zone: 1}}
instances:
  - {name: pg-1, machine: m1, address: "10.0.0.1:5432"}
  - {name: pg-2, machine: m2}
tables:
  - name: t
    rule: any
    shards:
      - number: 1
        rule: atLeast
        k: 2
        replicas:
          - {instance: pg-1, role: primary, state: available}
          - {instance: pg-2, role: standby, state: unavailable}
`

func TestYAMLAndJSONAreTheSame(t *testing.T) {
	fromYAML, err := topofile.Parse("t.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(fromYAML, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	fromJSON, err := topofile.Parse("t.json", text)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(fromYAML, fromJSON); d != "" {
		t.Error(d)
	}
	var other faultcalc.Topology
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(good, "zone: 1", `zone: "1"`)), &other); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(fromYAML, other); d != "" {
		t.Error(d)
	}
}

func TestProblemsHaveALineAndAWayOut(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"role":       {"role: primary", "role: leader", `f:16: tables[0].shards[0].replicas[0].role: "leader" is not a role; write one of primary`},
		"state":      {"state: unavailable", "state: broken", `f:17: tables[0].shards[0].replicas[1].state: "broken" is not a state; write available or unavailable`},
		"rule":       {"rule: any", "rule: all", `f:10: tables[0].rule: "all" is not a rule; write one of any`},
		"k":          {"k: 2", "k: 0", `f:14: tables[0].shards[0].k: rule atLeast needs to know how many`},
		"k missing":  {"        k: 2\n", "", `f:12: tables[0].shards[0].k: rule atLeast needs`},
		"number":     {"number: 1", "number: one", `f:12: number is "one"; write a whole number`},
		"instance":   {"{instance: pg-2,", "{instance: pg-9,", `f:17: tables[0].shards[0].replicas[1].instance: no instance is called "pg-9"; write one of pg-1, pg-2`},
		"shared":     {"{instance: pg-2,", "{instance: pg-1,", `f:17: tables[0].shards[0].replicas[1].instance: instance "pg-1" already holds a copy`},
		"machine":    {"machine: m2", "machine: m3", `f:7: instances[1].machine: no machine is called "m3"; write one of m1, m2`},
		"twice":      {"name: m2", "name: m1", `f:4: machines[1].name: machine "m1" is already machines[0]`},
		"p":          {"0.01", "1.5", `f:3: machines[0].failureProbability: 1.5 is not a probability; write a number from 0 to 1`},
		"field":      {"rule: any", "rules: any", `f:10: the table has no field "rules"; write one of name, rule, k, shards`},
		"repeated":   {"rule: any", "name: u", `f:10: the table has "name" twice`},
		"list":       {"addresses: [10.0.0.1]", "addresses: 10.0.0.1", `f:3: addresses is "10.0.0.1"; write a list`},
		"syntax":     {"tables:", "tables: [", `f:8: not YAML`},
		"second":     {"tables:", "---\ntables:", `there is a second document`},
		"self alias": {"&m {name: m2, labels: {zone: 1}}", "&m {name: m2, labels: *m}", "f:4: "},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, c.old, c.new, 1)
			if text == good {
				t.Fatal("the case changes nothing")
			}
			_, err := topofile.Parse("f", []byte(text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
			var e *topofile.Error
			if !errors.As(err, &e) {
				t.Errorf("%T is not located", err)
			}
		})
	}
}

func TestBadJSONHasALine(t *testing.T) {
	for text, want := range map[string]string{
		"{\n\"machines\": [}":             "f:2: ",
		"{\n\"machines\": [],\n\"x\": 1}": `f:3: the document has no field "x"`,
		"{\n\t\"machines\": 3\n}":         "f:2: machines is",
		"":                                "f:1: the document is empty",
		"[]":                              "f:1: the document is a list; write a mapping",
		"~":                               "f:1: the document is",
	} {
		if _, err := topofile.Parse("f", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

// Nine levels of nine aliases each would be 387 million machines.
func TestAliasesAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := range 9 {
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll("aN: &aN [*aM, *aM, *aM, *aM, *aM, *aM, *aM, *aM, *aM]\n", "N", string(rune('1'+i))), "M", string(rune('0'+i))))
	}
	b.WriteString("machines: *a9\n")
	if _, err := topofile.Parse("f", []byte(b.String())); err == nil {
		t.Error("no error")
	}
	if _, err := topofile.Parse("f", []byte("machines: &m [*m, *m]\n")); err == nil {
		t.Error("no error for a cycle")
	}
	merge := "machines: [&a {name: a, <<: [*a, *a]}]\n"
	if _, err := topofile.Parse("f", []byte(merge)); err == nil {
		t.Error("no error for a cycle of merges")
	}
}

func TestHugeDocumentsAreRefused(t *testing.T) {
	_, err := topofile.Parse("f", make([]byte, 100<<20))
	if err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Error(err)
	}
}

func TestDenseDocumentsAreRefused(t *testing.T) {
	_, err := topofile.Parse("f", []byte("machines: ["+strings.Repeat("a,", 20<<20)+"]"))
	if err == nil || !strings.Contains(err.Error(), "values") {
		t.Error(err)
	}
}

func FuzzParseTopology(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`{"machines":[{"name":"m1"}],"instances":[],"tables":[{"name":"t","shards":[]}]}`))
	f.Add([]byte("machines: &m [*m, *m]\n"))
	f.Add([]byte("a: &a [x]\nb: &b [*a, *a]\nmachines: [*b]\ntables: *b\n"))
	f.Add([]byte("machines: [&a {name: a, <<: *a}]\n"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		topo, err := topofile.Parse("f", data)
		if err != nil {
			return
		}
		for _, table := range topo.Tables {
			for _, level := range []faultcalc.Level{faultcalc.LevelMachine, faultcalc.LevelInstance, "zone"} {
				m, err := faultcalc.Compile(topo, table.Name, level)
				if err != nil {
					continue
				}
				m.Status(m.Affected())
			}
		}
	})
}
