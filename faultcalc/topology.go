package faultcalc

// Topology is the placement of sharded, replicated tables on machines: the
// document that every calculation starts from. Its JSON names are the
// interface of the topology file (YAML or JSON).
//
// Order matters: nodes keep the order in which they are listed, and that order
// breaks every tie.
type Topology struct {
	Machines  []Machine  `json:"machines"`
	Instances []Instance `json:"instances"`
	Tables    []Table    `json:"tables"`
}

// Machine is what fails as a whole: a host, a Kubernetes node, a network
// namespace.
type Machine struct {
	// Name is unique among machines.
	Name string `json:"name"`
	// Labels name the failure domains that the machine is part of, such as
	// zone or rack; each key can be used as a [Level].
	Labels map[string]string `json:"labels,omitempty"`
	// FailureProbability is the chance, 0 to 1, that the machine is down at a
	// random instant, independently of the others. Zero means it never fails
	// by itself, and is also what an unknown value looks like.
	FailureProbability float64 `json:"failureProbability,omitempty"`
	// Addresses are all addresses of the machine. They are carried for those
	// who need them; no calculation reads them.
	Addresses []string `json:"addresses,omitempty"`
}

// Instance is one database server process on one machine.
type Instance struct {
	// Name is unique among instances.
	Name string `json:"name"`
	// Machine is the name of the machine that runs the instance.
	Machine string `json:"machine"`
	// Address is where clients connect, as host:port. No calculation reads it.
	Address string `json:"address,omitempty"`
}

// Table is cut into shards; it serves when all of them do.
type Table struct {
	// Name is unique among tables.
	Name string `json:"name"`
	// Rule is what a shard needs to serve, unless the shard says otherwise.
	// Empty means [RuleAny].
	Rule Rule `json:"rule,omitempty"`
	// K is the number of copies that [RuleAtLeast] needs, at least 1.
	K int `json:"k,omitempty"`
	// Shards may be empty: such a table is always available.
	Shards []Shard `json:"shards"`
}

// Shard is one horizontal part of a table, kept in several replicas.
type Shard struct {
	// Number identifies the shard within its table; it is not negative.
	Number int `json:"number"`
	// Rule overrides the table's rule; empty means the table's.
	Rule Rule `json:"rule,omitempty"`
	// K overrides the table's; zero means the table's.
	K int `json:"k,omitempty"`
	// Replicas are the copies of the shard, each on an instance of its own. A
	// shard without any is unavailable.
	Replicas []Replica `json:"replicas"`
}

// Replica is one copy of a shard, or a voter for it, on one instance.
type Replica struct {
	// Instance is the name of the instance that holds the copy.
	Instance string `json:"instance"`
	// Role is what the copy may do; empty means [RoleStandby].
	Role Role `json:"role,omitempty"`
	// State says whether the copy is up; empty means [StateAvailable].
	State State `json:"state,omitempty"`
}

// Rule is what a shard needs to serve. It has to be true to the configuration
// of the database, or predictions are wrong.
type Rule string

// The rules. A data copy is a replica with role primary or standby; a voter is
// a data copy or a witness. An async replica neither serves nor votes, so it
// counts in no rule, not even in the number of configured voters.
const (
	// RuleAny needs one live data copy: any of them can be promoted.
	RuleAny Rule = "any"
	// RuleMajority needs more than half of the configured voters live.
	// [reading] Replicas that are down count as configured; witnesses are
	// voters; async replicas are not.
	RuleMajority Rule = "majority"
	// RuleAtLeast needs K live data copies. [reading] Witnesses hold no data
	// and do not count; a K above the number of data copies can never be met,
	// so the shard is unavailable.
	RuleAtLeast Rule = "atLeast"
	// RulePrimary needs a live replica with role primary: nothing is promoted.
	// [reading] With several primaries one live one is enough; with none the
	// shard is unavailable.
	RulePrimary Rule = "primary"
	// RuleData needs one live data copy and a majority of the configured
	// voters, witnesses included.
	RuleData Rule = "data"
)

// Role is what a replica may do for its shard.
type Role string

// The roles.
const (
	// RolePrimary accepts writes now.
	RolePrimary Role = "primary"
	// RoleStandby can be promoted without losing acknowledged writes.
	RoleStandby Role = "standby"
	// RoleAsync may lack acknowledged writes, so it may not be promoted: it
	// neither serves nor votes.
	RoleAsync Role = "async"
	// RoleWitness votes, but holds no data.
	RoleWitness Role = "witness"
)

// State says whether a replica is up before any fault.
type State string

// The states.
const (
	// StateAvailable is a replica that is up.
	StateAvailable State = "available"
	// StateUnavailable is a replica that is configured, but down.
	StateUnavailable State = "unavailable"
)

// Availability is what can be said about a shard or a table under a fault set.
type Availability string

// The availabilities, from best to worst.
const (
	// Redundant serves, and still would if any single further node failed.
	Redundant Availability = "redundant"
	// NoBackup serves, but a single further node can take it down.
	NoBackup Availability = "no-backup"
	// Unavailable does not serve.
	Unavailable Availability = "unavailable"
)

// Level is what fails together and is called a node: [LevelMachine],
// [LevelInstance], or a label key of machines such as "zone" for whole failure
// domains.
type Level string

// The levels that need no label.
const (
	// LevelMachine makes every machine a node (node-level faults).
	LevelMachine Level = "machine"
	// LevelInstance makes every instance a node (instance-level faults).
	LevelInstance Level = "instance"
)
