package cli

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/cutset-dev/cutset/faultcalc"
)

// A shortlist is the beginning of the sorted list, in whatever order sets come.
func TestShortlist(t *testing.T) {
	topo := faultcalc.Topology{Tables: []faultcalc.Table{{Name: "t"}}}
	for i := range 9 {
		topo.Machines = append(topo.Machines, faultcalc.Machine{Name: fmt.Sprint("m", i)})
	}
	m, err := faultcalc.Compile(topo, "t", faultcalc.LevelMachine)
	if err != nil {
		t.Fatal(err)
	}
	var all []faultcalc.Set
	for bits := range 512 {
		var names []string
		for i := range 9 {
			if bits*37%512>>i&1 != 0 {
				names = append(names, fmt.Sprint("m", i))
			}
		}
		s, err := m.SetOf(names...)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	want := slices.SortedFunc(slices.Values(all), faultcalc.Set.Compare)
	for _, limit := range []int{0, 1, 7, 100, 511, 512, 600} {
		var stderr bytes.Buffer
		a := &app{limit: limit, stderr: &stderr}
		l := &shortlist{limit: limit}
		for _, s := range all {
			l.add(s)
		}
		most := len(want)
		if limit > 0 {
			most = min(most, limit)
		}
		if got := l.sets(a, "sets"); !slices.EqualFunc(got, want[:most], faultcalc.Set.Equal) {
			t.Errorf("limit %d: %d sets, not the first ones", limit, len(got))
		}
		if a.truncated != (most < len(want)) {
			t.Errorf("limit %d: truncated %v: %s", limit, a.truncated, &stderr)
		}
	}
}
