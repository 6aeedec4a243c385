// Package framework is the one door for suites. It brings up a cluster, deploys the database, asks it where
// its shards are, freezes the plan of cases, generates one Ginkgo spec per case, runs and judges each, and
// reports.
//
// A suite is three declarations:
//
//	func TestMain(m *testing.M) { framework.Main(m) }
//
//	func TestFailover(t *testing.T) { framework.RunSuite(t, framework.Suite{Name: "failover"}) }
//
//	var _ = framework.Cases("every planned failure")
//
// The order of things matters: Main may re-execute the program in a world of its own, so
// nothing may run before it; the plan is frozen before RunSpecs builds the tree, so that every Ginkgo
// process builds the same one.
package framework
