package faultcalc

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Inputs from formulas, as families of edges over nodes 0..n-1. They are those
// of Boros, Elbassioni, Gurvich and Khachiyan (M, DM, TH, SDTH, SDFP), k-of-n,
// and placements: token ring, racks, copysets, uniformly random. The random
// ones use Go's PCG with the seed in their name, so that they are the same
// everywhere, but not those of a generator in another language: -export-inputs
// writes them as files for other programs.
type input struct {
	name string
	make func() *family
	// sets is the number of minimal transversals; 0 if no formula gives it.
	sets string
}

func fam(n int, edges [][]int) *family {
	c := csr{off: []int32{0}}
	for _, e := range edges {
		e = slices.Clone(e)
		slices.Sort(e)
		for _, v := range e {
			c.elem = append(c.elem, int32(v))
		}
		c.close()
	}
	return newFamily(n, c)
}

func edgesOf(f *family) [][]int {
	var list [][]int
	for e := range f.edges.len() {
		var edge []int
		for _, v := range f.edges.row(e) {
			edge = append(edge, int(v))
		}
		list = append(list, edge)
	}
	return list
}

// dual returns the family of minimal transversals.
func dual(f *family) *family {
	c := csr{off: []int32{0}}
	for s := range transversals(f) {
		c.elem = s.appendIndices(c.elem)
		c.close()
	}
	return newFamily(f.n, c)
}

// inputM: n/2 disjoint pairs.
func inputM(n int) *family {
	var edges [][]int
	for i := 0; i < n; i += 2 {
		edges = append(edges, []int{i, i + 1})
	}
	return fam(n, edges)
}

// inputTH: {i, j} with i < j and j even, counted from 1.
func inputTH(n int) *family {
	var edges [][]int
	for j := 2; j <= n; j += 2 {
		for i := 1; i < j; i++ {
			edges = append(edges, []int{i - 1, j - 1})
		}
	}
	return fam(n, edges)
}

// selfDual makes a self-dual family over n+2 nodes.
func selfDual(f *family) *family {
	n := f.n
	edges := [][]int{{n, n + 1}}
	for _, e := range edgesOf(f) {
		edges = append(edges, append(e, n))
	}
	for _, e := range edgesOf(dual(f)) {
		edges = append(edges, append(e, n+1))
	}
	return fam(n+2, edges)
}

// inputFano: k disjoint Fano planes.
func inputFano(k int) *family {
	var edges [][]int
	for p := range k {
		for i := range 7 {
			edges = append(edges, []int{7*p + i, 7*p + (i+1)%7, 7*p + (i+3)%7})
		}
	}
	return fam(7*k, edges)
}

func inputKofN(n, k int) *family {
	all := make([]int32, n)
	for i := range all {
		all[i] = int32(i)
	}
	c := csr{off: []int32{0}}
	combinations(all, k, newSet(n), func(s Set) bool {
		c.elem = s.appendIndices(c.elem)
		c.close()
		return true
	})
	return newFamily(n, c)
}

func inputRing(n, rf int) *family {
	var edges [][]int
	for i := range n {
		var e []int
		for k := range rf {
			e = append(e, (i+k)%n)
		}
		edges = append(edges, e)
	}
	return fam(n, edges)
}

// inputRack: shards on rf distinct racks out of r, on one of m machines each.
func inputRack(r, m, shards, rf int, seed uint64) *family {
	rng := rand.New(rand.NewPCG(seed, 1))
	var edges [][]int
	for range shards {
		var e []int
		for _, rack := range rng.Perm(r)[:rf] {
			e = append(e, rack*m+rng.IntN(m))
		}
		edges = append(edges, e)
	}
	return fam(r*m, edges)
}

// inputCopy: copysets of rf nodes, scatter width sw.
func inputCopy(n, rf, sw int, seed uint64) *family {
	rng := rand.New(rand.NewPCG(seed, 2))
	var edges [][]int
	for range sw / (rf - 1) {
		p := rng.Perm(n)
		for i := 0; i+rf <= n; i += rf {
			edges = append(edges, p[i:i+rf])
		}
	}
	return fam(n, edges)
}

// inputUR: m edges, each node in each with probability p.
func inputUR(n, m int, p float64, seed uint64) *family {
	rng := rand.New(rand.NewPCG(seed, 3))
	var edges [][]int
	for len(edges) < m {
		var e []int
		for v := range n {
			if rng.Float64() < p {
				e = append(e, v)
			}
		}
		if len(e) > 0 {
			edges = append(edges, e)
		}
	}
	return fam(n, edges)
}

var inputs = []input{
	{"M_36", func() *family { return inputM(36) }, "262144"},
	{"M_40", func() *family { return inputM(40) }, "1048576"},
	{"DM_26", func() *family { return dual(inputM(26)) }, "13"},
	{"DM_30", func() *family { return dual(inputM(30)) }, "15"},
	{"TH_200", func() *family { return inputTH(200) }, "101"},
	{"SDTH_202", func() *family { return selfDual(inputTH(200)) }, "10102"},
	{"SDFP_30", func() *family { return selfDual(inputFano(4)) }, "2430"},
	{"SDFP_37", func() *family { return selfDual(inputFano(5)) }, "16843"},
	{"UR_50_100_0.1", func() *family { return inputUR(50, 100, 0.1, 1) }, ""},
	{"UR_50_1000_0.9", func() *family { return inputUR(50, 1000, 0.9, 1) }, ""},
	{"RING_40_3", func() *family { return inputRing(40, 3) }, "725859"},
	{"RING_18_2", func() *family { return inputRing(18, 2) }, ""},
	{"RING_60_3", func() *family { return inputRing(60, 3) }, "618413702"},
	{"RING_100_3", func() *family { return inputRing(100, 3) }, "448881638318451"},
	{"KOFN_20_5", func() *family { return inputKofN(20, 5) }, "4845"},
	{"RACK_3_10_300_3", func() *family { return inputRack(3, 10, 300, 3, 1) }, ""},
	{"RACK_4_6_60_2", func() *family { return inputRack(4, 6, 60, 2, 1) }, ""},
	{"RACK_5_8_400_3", func() *family { return inputRack(5, 8, 400, 3, 1) }, ""},
	{"RACK_6_8_200_3", func() *family { return inputRack(6, 8, 200, 3, 2) }, ""},
	{"COPY_30_3_4", func() *family { return inputCopy(30, 3, 4, 1) }, ""},
	{"COPY_24_2_3", func() *family { return inputCopy(24, 2, 3, 1) }, ""},
	{"COPY_45_3_4", func() *family { return inputCopy(45, 3, 4, 1) }, ""},
}

var exportInputs = flag.String("export-inputs", "", "write the inputs to this directory, an edge per line, nodes from 0")

func TestExportInputs(t *testing.T) {
	if *exportInputs == "" {
		t.Skip("for comparing with other programs; give -export-inputs a directory")
	}
	for _, in := range inputs {
		var b strings.Builder
		for _, e := range edgesOf(in.make()) {
			fmt.Fprintln(&b, strings.Trim(fmt.Sprint(e), "[]"))
		}
		if err := os.WriteFile(filepath.Join(*exportInputs, in.name+".dat"), []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCountsOfTheFormulas(t *testing.T) {
	for _, in := range inputs {
		if in.sets == "" {
			continue
		}
		n, err := countTransversals(in.make(), 1<<40)
		if err != nil || n.String() != in.sets {
			t.Errorf("%s: %v, %v; want %s", in.name, n, err, in.sets)
		}
	}
}
