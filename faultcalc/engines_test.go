package faultcalc

import (
	"iter"
	"math/big"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func keys(sets iter.Seq[Set]) []string {
	var list []string
	for s := range sets {
		list = append(list, s.key())
	}
	return list
}

func sparse(f *family, workers int) iter.Seq[Set] {
	return func(yield func(Set) bool) {
		if !f.hasEmpty() {
			newSparseEngine(f).walkAll(workers, yield)
		}
	}
}

func words(f *family, workers int) iter.Seq[Set] {
	return func(yield func(Set) bool) {
		if !f.hasEmpty() {
			newWordEngine(f).walkAll(f.n, workers, yield)
		}
	}
}

func randomFamily(t *rapid.T) *family {
	n := rapid.IntRange(1, 30).Draw(t, "n")
	var edges [][]int
	for range rapid.SampledFrom([]int{0, 1, 5, 20, 63, 65, 130}).Draw(t, "edges") {
		size := rapid.IntRange(1, min(n, 5)).Draw(t, "size")
		edges = append(edges, rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), size, size, rapid.ID[int]).Draw(t, "edge"))
	}
	return fam(n, edges)
}

// The engines share no code that finds sets, so that they check each other.
func TestEnginesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := randomFamily(t)
		one, other := keys(words(f, 1)), keys(sparse(f, 1))
		for workers := 2; workers <= 4; workers++ {
			if !slices.Equal(one, keys(words(f, workers))) || !slices.Equal(other, keys(sparse(f, workers))) {
				t.Fatalf("%d workers give another list than one", workers)
			}
		}
		product := keys(transversals(f))
		if !slices.Equal(product, keys(transversalsBy(f, 3))) {
			t.Fatal("3 workers give another product than one")
		}
		slices.Sort(one)
		slices.Sort(other)
		slices.Sort(product)
		if !slices.Equal(one, product) {
			t.Fatalf("words %d sets, product %d sets", len(one), len(product))
		}
		if !slices.Equal(one, other) || len(slices.Compact(one)) != len(other) {
			t.Fatalf("words %d sets, sparse %d sets", len(one), len(other))
		}
		walked, err := countWalk(f, 1<<40, 1<<40)
		if err != nil || walked != int64(len(other)) {
			t.Fatalf("counted %d, %v", walked, err)
		}
		if n := countParallel(newWordEngine(f), 3, 1<<40); n != int64(len(other)) {
			t.Fatalf("words counted %d in parallel", n)
		}
		if n := countParallel(newSparseEngine(f), 3, 1<<40); n != int64(len(other)) {
			t.Fatalf("sparse counted %d in parallel", n)
		}
		n, err := countTransversals(f, 1<<40)
		if err != nil || n.Int64() != int64(len(other)) {
			t.Fatalf("counted %v as a product, %v", n, err)
		}
		for _, part := range split(f) {
			d, err := newDiagram(part, bddBudget)
			if err != nil {
				t.Fatal(err)
			}
			z, root, err := minimalSets(d.bdd, d.root, bddBudget)
			if err != nil {
				t.Fatal(err)
			}
			n, err := countWalk(part, 1<<40, 1<<40)
			if err != nil || z.count(root).Int64() != n {
				t.Fatalf("the diagram has %v sets, the walk %d, %v", z.count(root), n, err)
			}
		}
	})
}

func TestStatusByPairsAgreesWithStatusByRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "n")
		var edges [][]int
		for range rapid.IntRange(0, 60).Draw(t, "shards") {
			size := rapid.IntRange(1, min(n, 5)).Draw(t, "size")
			edges = append(edges, rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), size, size, rapid.ID[int]).Draw(t, "nodes"))
		}
		topo := topologyOf(n, edges)
		topo.Tables[0].Rule = rapid.SampledFrom([]Rule{RuleAny, RuleMajority, RulePrimary}).Draw(t, "rule")
		m, err := Compile(topo, "t", LevelMachine)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			failed := newSet(n)
			for _, v := range rapid.SliceOfN(rapid.IntRange(0, n-1), 0, rapid.SampledFrom([]int{2, 5, 40}).Draw(t, "most")).Draw(t, "failed") {
				failed.add(v)
			}
			want := m.Status(failed).Availability
			if a, b := m.availabilityByPairs(failed), m.availabilityByRows(failed); a != want || b != want {
				t.Fatalf("%v: by pairs %s, by rows %s, by shard %s", m.Names(failed), a, b, want)
			}
		}
	})
}

// The transversals of the transversals are the family itself.
func TestDualityOnLargeInputs(t *testing.T) {
	for _, in := range []*family{
		inputRing(20, 3), inputTH(60), selfDual(inputFano(2)), inputRack(3, 10, 20, 2, 7), inputCopy(24, 3, 4, 3),
		inputUR(24, 40, 0.3, 5), inputRing(18, 2), inputKofN(12, 4),
	} {
		back := dual(dual(in))
		if !slices.Equal(back.edges.elem, in.edges.elem) || !slices.Equal(back.edges.off, in.edges.off) {
			t.Errorf("%d nodes, %d edges: the dual of the dual has %d", in.n, in.edges.len(), back.edges.len())
		}
	}
}

// Survivable fault sets of a ring with two copies are Lucas numbers; those of
// k racks of m machines with all combinations are 2^(km) - (2^m - 1)^k.
func TestClosedFormsOfSurvivableSets(t *testing.T) {
	a, b := big.NewInt(1), big.NewInt(3) // L_1, L_2
	for n := 3; n <= 120; n++ {
		a, b = b, new(big.Int).Add(a, b)
		if got, err := countHitting(inputRing(n, 2), n, bddBudget); err != nil || got.Cmp(b) != 0 {
			t.Fatalf("ring of %d: %v, %v; want %v", n, got, err, b)
		}
	}
	for k := 1; k <= 4; k++ {
		for m := 1; m <= 5; m++ {
			var edges [][]int
			var walk func(edge []int)
			walk = func(edge []int) {
				if len(edge) == k {
					edges = append(edges, slices.Clone(edge))
					return
				}
				for i := range m {
					walk(append(edge, len(edge)*m+i))
				}
			}
			walk(nil)
			want := new(big.Int).Exp(big.NewInt(int64(1)<<m-1), big.NewInt(int64(k)), nil)
			want.Sub(new(big.Int).Lsh(big.NewInt(1), uint(k*m)), want)
			if got, err := countHitting(fam(k*m, edges), k*m, bddBudget); err != nil || got.Cmp(want) != 0 {
				t.Fatalf("%d racks of %d: %v, %v; want %v", k, m, got, err, want)
			}
		}
	}
}

// A consumer that stops leaves no worker behind.
func TestParallelWalkStops(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, nodes := range []int{60, 99} { // hundreds of millions of sets, and more
		for stopAt := 0; stopAt < 20_000; stopAt += 997 {
			n := 0
			for range transversalsBy(inputRing(nodes, 3), 4) {
				if n++; n > stopAt {
					break
				}
			}
		}
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

// inputParts: k components, each an edge of size nodes, and so 10^8 sets for 8
// of 10.
func inputParts(k, size int) *family {
	var edges [][]int
	for i := range k {
		var e []int
		for j := range size {
			e = append(e, i+j*k) // components interleave
		}
		edges = append(edges, e)
	}
	return fam(k*size, edges)
}

// What is held of a product are its factors.
func TestProductsAreNotExpanded(t *testing.T) {
	f := inputParts(8, 10)
	if n, err := countTransversals(f, 1); err != nil || n.Int64() != 1e8 {
		t.Fatal(n, err)
	}
	var first []string
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for s := range transversals(f) {
		if first = append(first, s.key()); len(first) == 1000 {
			break
		}
	}
	runtime.ReadMemStats(&after)
	if bytes := after.TotalAlloc - before.TotalAlloc; bytes > 1<<20 {
		t.Errorf("%d bytes for 1000 sets", bytes)
	}
	slices.Sort(first)
	if len(slices.Compact(first)) != 1000 {
		t.Error("the first 1000 sets are not distinct")
	}
}

// Components too large to be listed are walked in a nest, which is flat too.
func TestProductOfLargeComponents(t *testing.T) {
	ring := edgesOf(inputRing(60, 3)) // 618 413 702 sets
	edges := slices.Clone(ring)
	for _, e := range ring {
		edges = append(edges, []int{e[0] + 60, e[1] + 60, e[2] + 60})
	}
	f := fam(130, append(edges, []int{120, 121, 122}, []int{123, 124}))
	n := 0
	for s := range transversals(f) {
		for e := range f.edges.len() {
			if hits := slices.ContainsFunc(f.edges.row(e), func(v int32) bool { return s.Contains(int(v)) }); !hits {
				t.Fatalf("set %d misses edge %d", n, e)
			}
		}
		if n++; n == 10_000 {
			break
		}
	}
}

// Memory does not grow with the number of sets.
func TestWalkingIsFlat(t *testing.T) {
	for name, sets := range map[string]iter.Seq[Set]{
		"words":    words(inputRing(60, 3), 1),
		"parallel": words(inputRing(60, 3), 2),
		"product":  transversals(inputParts(8, 10)),
		"sparse":   sparse(inputRing(99, 3), 1),
		"sparse 2": sparse(inputRing(99, 3), 2),
		"power":    func(yield func(Set) bool) { graySubsets(Set{[]uint64{1<<60 - 1}}, yield) },
		"by size":  func(yield func(Set) bool) { subsetsBySize(Set{[]uint64{1<<60 - 1}}, 60, yield) },
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		n := 0
		for range sets {
			if n++; n == 300_000 {
				break
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
			t.Errorf("%s: the heap grew by %d bytes", name, grown)
		}
	}
}
