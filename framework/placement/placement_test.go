package placement

import (
	"slices"
	"strings"
	"testing"
)

func TestDefaultIsValid(t *testing.T) {
	p, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	if got := len(p.AllMachines()); got != 5 {
		t.Errorf("the default has %d machines, want 4 and one for the DCS", got)
	}
}

func TestProblemsSayWhatToWrite(t *testing.T) {
	const good = `{machines: [{name: m1}, {name: m2}], shards: [{number: 1, members: [m1, m2]}], dcs: {machines: [d1]}}`
	if _, err := Parse("good", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, instead, want string }{
		{"misspelt key", "shards", "shard", "unknown field"},
		{"unknown machine", "[m1, m2]", "[m1, m3]", `"m3", which is no machine`},
		{"two copies on one machine", "[m1, m2]", "[m1, m1]", "two copies on machine m1"},
		{"machine twice", "{name: m2}", "{name: m1}", "listed twice"},
		{"no members", "[m1, m2]", "[]", "shard 1 has no members"},
		{"shard number", "number: 1", "number: 0", "count from 1"},
		{"bad name", "{name: m2}", "{name: M_2}", "lower-case"},
		{"dcs on a machine that fails", "[d1]", "[m1]", "a machine of its own"},
		{"dcs nowhere", "[d1]", "[]", "dcs has no machines"},
		{"disk", "dcs:", "disk: full, dcs:", "write volatile"},
		{"dcs api", "{machines: [d1]}", "{machines: [d1], api: zookeeper}", "write etcd or etcd3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("bad", []byte(strings.Replace(good, c.old, c.instead, 1)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestColocatedCopiesAreToldApart(t *testing.T) {
	p, err := Parse("colocated", []byte(`{machines: [{name: m1}, {name: m2}], allowColocated: true,
		shards: [{number: 1, members: [m1, m2, m1]}], dcs: {machines: [d1]}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Copy{{"s1-m1", "m1", 0}, {"s1-m2", "m2", 0}, {"s1-m1-2", "m1", 1}}
	if got := p.Shards[0].Copies(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
