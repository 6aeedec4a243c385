package faultcalc_test

import (
	"fmt"

	"github.com/cutset-dev/cutset/faultcalc"
)

// chain is the worked example of the published method: four machines with one
// instance each, three shards in a chain.
func chain() faultcalc.Topology {
	var t faultcalc.Topology
	for i := range 4 {
		machine, instance := fmt.Sprintf("m%d", i+1), fmt.Sprintf("pg-%d", i+1)
		t.Machines = append(t.Machines, faultcalc.Machine{Name: machine, FailureProbability: 0.01})
		t.Instances = append(t.Instances, faultcalc.Instance{Name: instance, Machine: machine})
	}
	table := faultcalc.Table{Name: "t", Rule: faultcalc.RuleAny}
	for i := range 3 {
		table.Shards = append(table.Shards, faultcalc.Shard{Number: i + 1, Replicas: []faultcalc.Replica{
			{Instance: t.Instances[i].Name, Role: faultcalc.RolePrimary},
			{Instance: t.Instances[i+1].Name, Role: faultcalc.RoleStandby},
		}})
	}
	t.Tables = []faultcalc.Table{table}
	return t
}

func model() *faultcalc.Model {
	m, err := faultcalc.Compile(chain(), "t", faultcalc.LevelMachine)
	if err != nil {
		panic(err)
	}
	return m
}

func ExampleModel_Published() {
	m := model()
	p, err := m.Published()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("A", m.Names(p.Affected), "B", m.Names(p.Keepers), "C", m.Names(p.Removable))
	for s := range p.FaultFactors() {
		fmt.Println(m.Names(s), m.Availability(s))
	}
	// Output:
	// A [m1 m2 m3 m4] B [m2 m3] C [m1 m4]
	// [m2 m3 m4] unavailable
	// [m2 m3] unavailable
	// [m1 m2 m3] unavailable
	// [m1 m2 m3 m4] unavailable
	// [] redundant
	// [m1] no-backup
	// [m4] no-backup
	// [m1 m4] no-backup
}

func ExampleModel_MinimalCutSets() {
	m := model()
	for s := range m.MinimalCutSets() {
		fmt.Println(m.Names(s))
	}
	// Output:
	// [m1 m2]
	// [m2 m3]
	// [m3 m4]
}

func ExampleModel_MaximalSurvivableSets() {
	m := model()
	for s := range m.MaximalSurvivableSets() {
		fmt.Println(m.Names(s))
	}
	// Unordered output:
	// [m1 m4]
	// [m2 m4]
	// [m1 m3]
}

func ExampleModel_MinimumKeeperSet() {
	m := model()
	k, err := m.MinimumKeeperSet(faultcalc.DefaultBudget)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(m.Names(k.Set)), "nodes, optimal:", k.Optimal)
	// Output: 2 nodes, optimal: true
}

func ExampleModel_Status() {
	m := model()
	failed, err := m.SetOf("m1", "m2")
	if err != nil {
		fmt.Println(err)
		return
	}
	st := m.Status(failed)
	fmt.Println(st.Availability, st.UnavailableShards())
	// Output: unavailable [1]
}

func ExampleModel_Plan() {
	m := model()
	for f := range m.Plan(faultcalc.PlanSpec{Boundary: true}) {
		fmt.Println(f.ID, f.Class, f.Predict, f.UnavailableShards)
	}
	// Output:
	// machine:m1+m2 cut unavailable [1]
	// machine:m2+m3 cut unavailable [2]
	// machine:m3+m4 cut unavailable [3]
	// machine:m1+m3 survivable no-backup []
	// machine:m1+m4 survivable no-backup []
	// machine:m2+m4 survivable no-backup []
}

func ExampleModel_Coverage() {
	m := model()
	c := m.Coverage(func(yield func(faultcalc.Set) bool) {
		for f := range m.Plan(faultcalc.PlanSpec{Boundary: true}) {
			if s, err := m.SetOf(f.Nodes...); err != nil || !yield(s) {
				return
			}
		}
	})
	fmt.Println(c.Cases, "cases decide", c.Decided, "of", c.PowerSet)
	// Output: 6 cases decide 16 of 16
}

func ExampleModel_Unavailability() {
	u := model().Unavailability()
	fmt.Printf("%.6f\n", u.Upper)
	// Output: 0.000298
}
