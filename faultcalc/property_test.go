package faultcalc_test

import (
	"errors"
	"iter"
	"math/big"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/cutset-dev/cutset/faultcalc"
)

func collect(m *faultcalc.Model, sets iter.Seq[faultcalc.Set]) [][]string {
	var list [][]string
	for s := range sets {
		list = append(list, m.Names(s))
	}
	return list
}

func clones(sets iter.Seq[faultcalc.Set]) []faultcalc.Set {
	var list []faultcalc.Set
	for s := range sets {
		list = append(list, s.Clone())
	}
	return list
}

// same reports a difference and the topology is printed by rapid's shrinker.
func same(t *rapid.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%s (-oracle +faultcalc):\n%s", what, d)
	}
}

func TestEverythingAgreesWithBruteForce(t *testing.T) { rapid.Check(t, checkAgainstOracle) }

func FuzzEverythingAgreesWithBruteForce(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkAgainstOracle)) }

func checkAgainstOracle(t *rapid.T) {
	topo := randomTopology(t)
	if err := topo.Validate(); err != nil {
		t.Fatal(err)
	}
	level := rapid.SampledFrom(levels).Draw(t, "level")
	m, err := faultcalc.Compile(topo, "t", level)
	if err != nil {
		t.Fatal(err)
	}
	o := newOracle(topo, "t", level)
	same(t, "nodes", m.Nodes(), o.all)
	same(t, "affected", append([]string{}, m.Names(m.Affected())...), append([]string{}, o.affected...))
	checkStatus(t, m, o)
	x := o.exact()
	checkExact(t, m, o, x)
	checkAnalysis(t, m, o, x)
	checkPublished(t, m, o)
	checkPlan(t, m, o, x)
}

func checkStatus(t *rapid.T, m *faultcalc.Model, o *oracle) {
	o.subsets(func(failed map[string]bool) {
		s, err := m.SetOf(o.sorted(failed)...)
		if err != nil {
			t.Fatal(err)
		}
		st := m.Status(s)
		same(t, "availability", st.Availability, o.availability(failed))
		same(t, "availability alone", m.Availability(s), st.Availability)
		same(t, "shards down", st.UnavailableShards(), o.down(failed))
		same(t, "shards down alone", m.UnavailableShards(s), append([]int{}, o.down(failed)...))
		for i, sh := range o.table.Shards {
			same(t, "shard", st.Shards[i], o.shard(sh, failed))
		}
	})
}

func checkExact(t *rapid.T, m *faultcalc.Model, o *oracle, x exactSets) {
	same(t, "minimal cut sets", collect(m, m.MinimalCutSets()), x.cuts)
	keepers := collect(m, m.MinimalKeeperSets())
	o.sortSets(keepers)
	same(t, "minimal keeper sets", keepers, x.keepers)
	facets := collect(m, m.MaximalSurvivableSets())
	o.sortSets(facets)
	same(t, "maximal survivable sets", facets, x.facets)
	most := rapid.IntRange(0, 5).Draw(t, "most")
	checkFirst(t, m, "keeper", m.FirstKeeperSets(most), x.keepers, most)
	checkFirst(t, m, "survivable", m.FirstSurvivableSets(most), x.facets, most)
	spof := []string{}
	for _, c := range x.cuts {
		if len(c) == 1 {
			spof = append(spof, c[0])
		}
	}
	same(t, "single points of failure", m.Names(m.SinglePointsOfFailure()), spof)
}

// checkFirst: the list is the beginning of what the oracle sorted.
func checkFirst(t *rapid.T, m *faultcalc.Model, what string, got iter.Seq2[faultcalc.Set, error], want [][]string, most int) {
	if most > 0 {
		want = want[:min(most, len(want))]
	}
	var names [][]string
	for s, err := range got {
		if err != nil {
			t.Fatal(what, err)
		}
		names = append(names, m.Names(s))
	}
	same(t, "first "+what+" sets", append([][]string{}, names...), append([][]string{}, want...))
}

func checkPublished(t *rapid.T, m *faultcalc.Model, o *oracle) {
	p, err := m.Published()
	for _, s := range o.table.Shards {
		if r, _ := o.rule(s); r != faultcalc.RuleAny {
			if !errors.Is(err, faultcalc.ErrNotAny) {
				t.Fatalf("published with rule %s: %v", r, err)
			}
			return
		}
	}
	if !o.available(nil) {
		if !errors.Is(err, faultcalc.ErrAlreadyUnavailable) || len(clones(p.FaultFactors())) > 0 || p.PowerSetSize().Sign() != 0 {
			t.Fatalf("published on an unavailable table: %v, %v", err, p)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	b, minimal, factors := o.published()
	same(t, "B", m.Names(p.Keepers), b)
	same(t, "minimal subsets", collect(m, p.MinimalSubsets()), minimal)
	got := collect(m, p.FaultFactors())
	o.sortSets(got)
	o.sortSets(factors)
	for i := range factors {
		factors[i] = append([]string{}, factors[i]...)
	}
	same(t, "fault factors", got, factors)
	gray := clones(p.PowerSetGray())
	slices.SortFunc(gray, faultcalc.Set.Compare)
	if !slices.EqualFunc(gray, clones(p.PowerSet()), faultcalc.Set.Equal) {
		t.Fatal("the power set in Gray-code order, sorted, is another than the power set")
	}
}

func checkPlan(t *rapid.T, m *faultcalc.Model, o *oracle, x exactSets) {
	spec := faultcalc.PlanSpec{
		Boundary:  rapid.Bool().Draw(t, "boundary"),
		Published: rapid.Bool().Draw(t, "published"),
		MaxSize:   rapid.IntRange(0, 3).Draw(t, "max size"),
		Domains:   rapid.SampledFrom([][]string{nil, {"zone"}, {"rack", "zone"}}).Draw(t, "domains"),
		TWay:      rapid.IntRange(0, 4).Draw(t, "t-way"),
	}
	checkSplit(t, m, spec)
	checkCollapse(t, m, o, x)
	ids := map[string]bool{}
	var sets [][]string
	for f := range m.Plan(spec) {
		if ids[f.ID] {
			t.Fatalf("%s is planned twice", f.ID)
		}
		ids[f.ID] = true
		failed := map[string]bool{}
		for _, n := range f.Nodes {
			failed[n] = true
		}
		same(t, "prediction of "+f.ID, f.Predict, o.availability(failed))
		same(t, "shards of "+f.ID, f.UnavailableShards, append([]int{}, o.down(failed)...))
		if (f.Class == faultcalc.ClassControl) != (len(f.Nodes) == 0) {
			t.Fatalf("%s has class %s", f.ID, f.Class)
		}
		sets = append(sets, f.Nodes)
	}
	want := map[string]bool{}
	add := func(list [][]string) {
		for _, s := range list {
			set, err := m.SetOf(s...)
			if err != nil {
				t.Fatal(err)
			}
			want[m.ID(set)] = true
		}
	}
	if spec.Boundary {
		add(x.cuts)
		add(x.facets)
	}
	if p, err := m.Published(); spec.Published && err == nil {
		add(collect(m, p.FaultFactors()))
	}
	if spec.MaxSize > 0 {
		o.subsets(func(failed map[string]bool) {
			if len(failed) <= spec.MaxSize {
				add([][]string{o.sorted(failed)})
			}
		})
	}
	if o.level != "zone" && spec.Domains != nil {
		for _, zone := range []string{"a", "b", "c", "d"} {
			var members []string
			for _, n := range o.affected {
				if o.zone(n) == zone {
					members = append(members, n)
				}
			}
			if members != nil {
				add([][]string{members})
			}
		}
	}
	if spec.TWay == 0 {
		same(t, "planned ids", ids, want)
	}
	for id := range want {
		if !ids[id] {
			t.Fatalf("%s is not in the plan", id)
		}
	}

	c := m.Coverage(func(yield func(faultcalc.Set) bool) {
		for _, names := range sets {
			if s, err := m.SetOf(names...); err != nil || !yield(s) {
				return
			}
		}
	})
	same(t, "decided", c.Decided.String(), o.decided(sets).String())
	checkWays(t, o, c, sets)
	if spec.TWay > 0 {
		for _, w := range c.Ways {
			if w.T <= spec.TWay && w.Patterns != w.AllPatterns {
				t.Fatalf("%d-way plan covers %+v", spec.TWay, w)
			}
		}
	}
	if spec.Boundary && c.DecidedShare != 1 {
		t.Fatalf("the boundary decides %v of all fault sets", c.DecidedShare)
	}
}

func planIDs(m *faultcalc.Model, spec faultcalc.PlanSpec) []string {
	ids := []string{}
	for f := range m.Plan(spec) {
		ids = append(ids, f.ID)
	}
	return ids
}

// checkSplit: parts are disjoint and make up the plan, resuming goes on where
// it stopped, and a budget is a prefix.
func checkSplit(t *rapid.T, m *faultcalc.Model, spec faultcalc.PlanSpec) {
	all := planIDs(m, spec)
	const parts = 3
	merged := make([]string, len(all))
	for i := range parts {
		s := spec
		s.Parts, s.Part = parts, i
		for k, id := range planIDs(m, s) {
			merged[parts*k+i] = id
		}
	}
	same(t, "parts put together", merged, all)
	if len(all) > 0 {
		s := spec
		i := rapid.IntRange(0, len(all)-1).Draw(t, "resume after")
		s.After = all[i]
		same(t, "resumed", planIDs(m, s), append([]string{}, all[i+1:]...))
		s.After, s.MaxCases = "", i+1
		same(t, "budget", planIDs(m, s), all[:i+1])
	}
}

// checkCollapse: the orbits of what is left add up to what there was.
func checkCollapse(t *rapid.T, m *faultcalc.Model, o *oracle, x exactSets) {
	sum := func(spec faultcalc.PlanSpec) *big.Int {
		spec.Collapse = true
		n := new(big.Int)
		for f := range m.Plan(spec) {
			orbit, ok := new(big.Int).SetString(f.Orbit, 10)
			if !ok {
				t.Fatalf("orbit %q", f.Orbit)
			}
			n.Add(n, orbit)
		}
		return n
	}
	want := len(x.cuts) + len(x.facets)
	if got := sum(faultcalc.PlanSpec{Boundary: true}); got.Int64() != int64(want) {
		t.Fatalf("orbits of the boundary add up to %v, not %d", got, want)
	}
	if got := sum(faultcalc.PlanSpec{Boundary: true, Published: true, TWay: 2, Domains: []string{"zone"}, MaxSize: 99}); got.Int64() != 1<<len(o.affected) {
		t.Fatalf("orbits of everything add up to %v, not 2^%d", got, len(o.affected))
	}
}

// checkWays counts combinations of up and down the long way.
func checkWays(t *rapid.T, o *oracle, c faultcalc.Coverage, sets [][]string) {
	for _, w := range c.Ways {
		patterns, subsets := map[string]bool{}, map[string]bool{}
		var groups [][]string
		var pick func(from int, group []string)
		pick = func(from int, group []string) {
			if len(group) == w.T {
				groups = append(groups, slices.Clone(group))
				return
			}
			for i := from; i < len(o.affected); i++ {
				pick(i+1, append(group, o.affected[i]))
			}
		}
		pick(0, nil)
		for _, g := range groups {
			for _, s := range sets {
				p, all := "", true
				for _, n := range g {
					down := slices.Contains(s, n)
					all = all && down
					p += n + map[bool]string{true: "-", false: "+"}[down]
				}
				patterns[p] = true
				if all {
					subsets[p] = true
				}
			}
		}
		want := faultcalc.WayCoverage{
			T: w.T, Subsets: int64(len(subsets)), AllSubsets: int64(len(groups)),
			Patterns: int64(len(patterns)), AllPatterns: int64(len(groups)) << w.T,
		}
		same(t, "t-way coverage", w, want)
	}
}
