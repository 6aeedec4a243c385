package faultcalc_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cutset-dev/cutset/faultcalc"
)

// near compares probabilities: 12 digits, or 1e-14 absolutely.
func near(a, b float64) bool {
	return math.Abs(a-b) <= 1e-14 || math.Abs(a-b) <= 1e-12*math.Max(math.Abs(a), math.Abs(b))
}

// probability of a node, as documented at Model.Unavailability.
func (o *oracle) probability(node string) float64 {
	p, found := 1.0, false
	for _, m := range o.topo.Machines {
		switch o.level {
		case faultcalc.LevelMachine:
			if m.Name == node {
				return m.FailureProbability
			}
		case faultcalc.LevelInstance:
			for _, n := range o.topo.Instances {
				if n.Name == node && n.Machine == m.Name {
					return m.FailureProbability
				}
			}
		default:
			if m.Labels[string(o.level)] == node {
				p, found = p*m.FailureProbability, true
			}
		}
	}
	if !found {
		panic("no probability for " + node)
	}
	return p
}

// chance sums the probabilities of the fault sets that the filter keeps.
func (o *oracle) chance(given map[string]float64, keep func(failed map[string]bool) bool) float64 {
	sum := 0.0
	o.subsets(func(failed map[string]bool) {
		if !keep(failed) {
			return
		}
		p := 1.0
		for _, n := range o.affected {
			q, ok := given[n]
			if !ok {
				q = o.probability(n)
			}
			if !failed[n] {
				q = 1 - q
			}
			p *= q
		}
		sum += p
	})
	return sum
}

func checkAnalysis(t *rapid.T, m *faultcalc.Model, o *oracle, x exactSets) {
	count, err := m.SurvivableSets()
	if err != nil || count.Int64() != x.survivable {
		t.Fatalf("survivable sets: %v, %v; the oracle counts %d", count, err, x.survivable)
	}
	minimum, err := m.MinimumKeeperSet(faultcalc.DefaultBudget)
	if (err != nil) != !o.available(nil) || err != nil && !errors.Is(err, faultcalc.ErrAlreadyUnavailable) {
		t.Fatalf("minimum keeper set: %v", err)
	}
	if err == nil {
		kept := m.Names(minimum.Set)
		least := len(x.keepers[0])
		if !minimum.Optimal || minimum.Lower != least || minimum.Upper != least || len(kept) != least {
			t.Fatalf("minimum keeper set %v, %+v; the oracle has size %d", kept, minimum, least)
		}
		if !slices.ContainsFunc(x.keepers, func(k []string) bool { return slices.Equal(k, kept) }) {
			t.Fatalf("minimum keeper set %v is none", kept)
		}
	}
	down := func(failed map[string]bool) bool { return !o.available(failed) }
	want := o.chance(nil, down)
	if got := m.Unavailability(); !near(got.Lower, want) || !near(got.Upper, want) {
		t.Fatalf("unavailability %v, want %v", got, want)
	}
	list, err := m.Importance()
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range o.affected {
		birnbaum := o.chance(map[string]float64{n: 1}, down) - o.chance(map[string]float64{n: 0}, down)
		vesely := o.chance(nil, func(failed map[string]bool) bool {
			return slices.ContainsFunc(x.cuts, func(c []string) bool {
				return slices.Contains(c, n) && !slices.ContainsFunc(c, func(v string) bool { return !failed[v] })
			})
		})
		if want > 0 {
			vesely /= want
		}
		if im := list[i]; im.Node != n || !near(im.Birnbaum, birnbaum) || !near(im.FussellVesely, vesely) {
			t.Fatalf("importance %+v, want %s %v %v", im, n, birnbaum, vesely)
		}
	}
}

// uniform builds a table with rule any over machines of one instance each.
func uniform(nodes int, shards [][]int, p float64) faultcalc.Topology {
	var topo faultcalc.Topology
	for i := range nodes {
		name := nodeName(i)
		topo.Machines = append(topo.Machines, faultcalc.Machine{Name: name, FailureProbability: p})
		topo.Instances = append(topo.Instances, faultcalc.Instance{Name: "i" + name, Machine: name})
	}
	table := faultcalc.Table{Name: "t"}
	for s, nodes := range shards {
		sh := faultcalc.Shard{Number: s + 1}
		for _, n := range nodes {
			sh.Replicas = append(sh.Replicas, faultcalc.Replica{Instance: "i" + nodeName(n)})
		}
		table.Shards = append(table.Shards, sh)
	}
	topo.Tables = []faultcalc.Table{table}
	return topo
}

func nodeName(i int) string {
	const digits = "0123456789"
	return "m" + string([]byte{digits[i/1000%10], digits[i/100%10], digits[i/10%10], digits[i%10]})
}

// Larger than the oracle can go: the smallest of all minimal keeper sets.
func TestMinimumIsTheSmallestKeeperSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 26).Draw(t, "n")
		var shards [][]int
		least, most := 2, rapid.IntRange(2, 4).Draw(t, "rf")
		if rapid.Bool().Draw(t, "mixed") {
			least = 1
		}
		for range rapid.IntRange(1, 30).Draw(t, "shards") {
			size := min(n, rapid.IntRange(min(least, most), most).Draw(t, "size"))
			shards = append(shards, rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), size, size, rapid.ID[int]).Draw(t, "nodes"))
		}
		m, err := faultcalc.Compile(uniform(n, shards, 0.1), "t", faultcalc.LevelMachine)
		if err != nil {
			t.Fatal(err)
		}
		least = n + 1
		for s := range m.MinimalKeeperSets() {
			least = min(least, s.Len())
		}
		got, err := m.MinimumKeeperSet(faultcalc.DefaultBudget)
		if err != nil || !got.Optimal || got.Set.Len() != least || got.Lower != least {
			t.Fatalf("%+v, %v; the smallest keeper set has %d nodes", got, err, least)
		}
		if m.Availability(m.Affected().Minus(got.Set)) == faultcalc.Unavailable {
			t.Fatal("the minimum keeper set keeps nothing")
		}
	})
}

func TestBoundsEncloseTheExactUnavailability(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(t, "n")
		var shards [][]int
		for range rapid.IntRange(1, 10).Draw(t, "shards") {
			size := min(n, rapid.IntRange(1, 3).Draw(t, "size"))
			shards = append(shards, rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), size, size, rapid.ID[int]).Draw(t, "nodes"))
		}
		p := rapid.SampledFrom([]float64{0.001, 0.1, 0.6}).Draw(t, "p")
		m, err := faultcalc.Compile(uniform(n, shards, p), "t", faultcalc.LevelMachine)
		if err != nil {
			t.Fatal(err)
		}
		exact := m.Unavailability().Upper
		lower, upper := faultcalc.Bounds(m)
		if lower > exact*(1+1e-9) || upper < exact*(1-1e-9) {
			t.Fatalf("exact %v is not in [%v, %v]", exact, lower, upper)
		}
	})
}
