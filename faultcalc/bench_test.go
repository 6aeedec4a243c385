package faultcalc

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// userTime starts a stopwatch of the processor time of this process: on a
// shared machine, the time on the wall says little. Call the result at the end.
func userTime(b *testing.B) func() {
	b.Helper()
	now := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano())
	}
	start := now()
	return func() {
		b.ReportMetric((now()-start).Seconds()*1e3/float64(b.N), "user-ms/op")
	}
}

// BenchmarkCount is the time to count all minimal transversals with whatever
// engine the package picks.
func BenchmarkCount(b *testing.B) {
	for _, in := range inputs {
		b.Run(in.name, func(b *testing.B) {
			f := in.make()
			var sets float64
			defer userTime(b)()
			for b.Loop() {
				n, err := countTransversals(f, 1<<40)
				if err != nil {
					b.Fatal(err)
				}
				sets, _ = n.Float64()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/sets, "ns/set")
			b.ReportMetric(sets, "sets")
		})
	}
}

// BenchmarkWalk is the time to visit every minimal transversal one by one, on
// one core.
func BenchmarkWalk(b *testing.B) {
	for _, in := range inputs {
		if len(in.sets) > 8 {
			continue
		}
		b.Run(in.name, func(b *testing.B) {
			f := in.make()
			sets := 0
			defer userTime(b)()
			for b.Loop() {
				sets = 0
				for range transversals(f) {
					sets++
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(sets), "ns/set")
			b.ReportMetric(float64(sets), "sets")
		})
	}
}

// BenchmarkProduct visits the first million of 10^8 sets, the product of 8
// components with 10 sets each.
func BenchmarkProduct(b *testing.B) {
	f := inputParts(8, 10)
	const most = 1_000_000
	b.ReportAllocs()
	defer userTime(b)()
	for b.Loop() {
		n := 0
		for range transversals(f) {
			if n++; n == most {
				break
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/most, "ns/set")
}

// BenchmarkFirst lists the first 1000 of very many keeper sets and survivable
// sets, in order.
func BenchmarkFirst(b *testing.B) {
	for _, in := range []input{
		{"RING_100_3", func() *family { return inputRing(100, 3) }, ""},
		{"FANO_40", func() *family { return inputFano(40) }, ""},
		{"RACK_4_6_60_2", func() *family { return inputRack(4, 6, 60, 2, 1) }, ""},
	} {
		b.Run(in.name, func(b *testing.B) {
			topo := topologyOf(in.make().n, edgesOf(in.make()))
			defer userTime(b)()
			for b.Loop() {
				m, err := Compile(topo, "t", LevelMachine)
				if err != nil {
					b.Fatal(err)
				}
				for _, err := range m.FirstKeeperSets(1000) {
					if err != nil {
						b.Fatal(err)
					}
				}
				for _, err := range m.FirstSurvivableSets(1000) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// topologyOf places an instance on every node and a shard on every edge.
func topologyOf(nodes int, edges [][]int) Topology {
	var t Topology
	for i := range nodes {
		machine, instance := fmt.Sprintf("m%d", i), fmt.Sprintf("pg-%d", i)
		t.Machines = append(t.Machines, Machine{Name: machine, FailureProbability: 0.01})
		t.Instances = append(t.Instances, Instance{Name: instance, Machine: machine})
	}
	table := Table{Name: "t", Rule: RuleAny}
	for s, e := range edges {
		sh := Shard{Number: s + 1}
		for i, v := range e {
			role := RoleStandby
			if i == 0 {
				role = RolePrimary
			}
			sh.Replicas = append(sh.Replicas, Replica{Instance: t.Instances[v].Name, Role: role, State: StateAvailable})
		}
		table.Shards = append(table.Shards, sh)
	}
	t.Tables = []Table{table}
	return t
}

// rackEdges is like inputRack with repeated shards left in.
func rackEdges(racks, perRack, shards, rf int, seed uint64) [][]int {
	rng := rand.New(rand.NewPCG(seed, 1))
	edges := make([][]int, shards)
	for s := range edges {
		for _, rack := range rng.Perm(racks)[:rf] {
			edges[s] = append(edges[s], rack*perRack+rng.IntN(perRack))
		}
	}
	return edges
}

// BenchmarkLarge is 100 000 shards, rf 3, on 3 000 machines: from the parsed
// topology to A, B, C and all cuts.
func BenchmarkLarge(b *testing.B) {
	topo := topologyOf(3000, rackEdges(3, 1000, 100_000, 3, 1))
	b.ReportAllocs()
	defer userTime(b)()
	for b.Loop() {
		m, err := Compile(topo, "t", LevelMachine)
		if err != nil {
			b.Fatal(err)
		}
		p, err := m.Published()
		if err != nil || p.Removable.Len()+p.Keepers.Len() != 3000 {
			b.Fatal(err)
		}
		n := 0
		for range m.MinimalCutSets() {
			n++
		}
		if n < 99_000 {
			b.Fatal(n)
		}
	}
}

func BenchmarkMinimumKeeperSet(b *testing.B) {
	for _, c := range []struct {
		name  string
		nodes int
		edges [][]int
		want  int
	}{
		{"COPY_5000_3_4", 5000, edgesOf(inputCopy(5000, 3, 4, 1)), 1666},
		{"RACK_3_1000_100000", 3000, rackEdges(3, 1000, 100_000, 3, 1), 1000},
		{"RING_1000_3", 1000, edgesOf(inputRing(1000, 3)), 334},
		{"RACK_5_8_400", 40, edgesOf(inputRack(5, 8, 400, 3, 1)), 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			m, err := Compile(topologyOf(c.nodes, c.edges), "t", LevelMachine)
			if err != nil {
				b.Fatal(err)
			}
			m.cuts()
			var got Minimum
			defer userTime(b)()
			for b.Loop() {
				if got, err = m.MinimumKeeperSet(DefaultBudget); err != nil {
					b.Fatal(err)
				}
			}
			if !got.Optimal || c.want > 0 && got.Upper != c.want {
				b.Errorf("lower %d, upper %d, %s; want %d, optimal", got.Lower, got.Upper, got.Why, c.want)
			}
			b.ReportMetric(float64(got.Upper), "size")
		})
	}
}

func BenchmarkPowerSet(b *testing.B) {
	s := newSet(200)
	for i := range 20 {
		s.add(7 * i)
	}
	for _, c := range []struct {
		name string
		walk func(Set, func(Set) bool)
	}{
		{"gray", func(s Set, yield func(Set) bool) { graySubsets(s, yield) }},
		{"by-size", func(s Set, yield func(Set) bool) { subsetsBySize(s, s.Len(), yield) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			seq := iter.Seq[Set](func(yield func(Set) bool) { c.walk(s, yield) })
			var x uint64
			defer userTime(b)()
			for b.Loop() {
				for set := range seq {
					x += set.w[0]
				}
			}
			if x == 0 {
				b.Fatal("nothing was walked")
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(1<<20), "ns/set")
		})
	}
}

// BenchmarkStatus asks for random fault sets of 5 nodes.
func BenchmarkStatus(b *testing.B) {
	m, err := Compile(topologyOf(1000, rackEdges(4, 250, 100_000, 3, 1)), "t", LevelMachine)
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 4))
	sets := make([]Set, 1024)
	for i := range sets {
		sets[i] = newSet(1000)
		for sets[i].Len() < 5 {
			sets[i].add(rng.IntN(1000))
		}
	}
	m.Availability(sets[0])
	i := 0
	for b.Loop() {
		m.Availability(sets[i&1023])
		i++
	}
}

// BenchmarkParallel counts and streams by walking, with one and with two
// workers; wide has more nodes than a word.
func BenchmarkParallel(b *testing.B) {
	rack := inputRack(5, 8, 400, 3, 1)
	wide := inputUR(70, 80, 0.8, 1)
	for workers := 1; workers <= 2; workers++ {
		b.Run(fmt.Sprintf("count-%d", workers), func(b *testing.B) {
			defer userTime(b)()
			for b.Loop() {
				countParallel(newWordEngine(rack), workers, 1<<40)
			}
		})
		b.Run(fmt.Sprintf("stream-%d", workers), func(b *testing.B) {
			defer userTime(b)()
			for b.Loop() {
				for range transversalsBy(rack, workers) {
					continue
				}
			}
		})
		b.Run(fmt.Sprintf("wide-count-%d", workers), func(b *testing.B) {
			defer userTime(b)()
			for b.Loop() {
				countParallel(newSparseEngine(wide), workers, 1<<40)
			}
		})
		b.Run(fmt.Sprintf("wide-stream-%d", workers), func(b *testing.B) {
			defer userTime(b)()
			for b.Loop() {
				for range transversalsBy(wide, workers) {
					continue
				}
			}
		})
	}
}
