// Package target says what the harness needs of a database under test, whatever it is.
package target

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cutset-dev/cutset/faultcalc"
)

// Target is a sharded, replicated database on a provider's machines.
type Target interface {
	// Deploy installs and starts it, and returns when every copy is at full redundancy.
	Deploy(ctx context.Context) error
	// Entry is one address of the database, host:port, as a user would know it.
	Entry() string
	// Discover asks the running database, through the one given address, where its shards are: the three
	// discovery components of the published method.
	Discover(ctx context.Context, entry string) (faultcalc.Topology, error)
	// Redundant returns nil when every copy is in place, and as many of them may be promoted as the target's
	// configuration provides for. The error says what is missing.
	Redundant(ctx context.Context) error
	// Primaries returns the instance that is each shard's primary at present. A shard that has none, or
	// does not say, is missing.
	Primaries(ctx context.Context) (map[int]string, error)
	// SwitchOver makes another copy of a healthy shard its primary, in an orderly way. The error wraps [errors.ErrUnsupported] where
	// the target can't be told who is.
	SwitchOver(ctx context.Context, shard int, to string) error
	// Connect opens a connection to the shard's primary for one of several clients, each of which
	// tries the copies in another order. notice gets what the server says beside its answers.
	Connect(ctx context.Context, shard, client int, notice func(*pgconn.Notice)) (*pgx.Conn, error)
	// Instances returns the shard of each instance that there is.
	Instances(ctx context.Context) (map[string]int, error)
	// ConnectTo opens a connection to one instance, whether it is a primary or not.
	ConnectTo(ctx context.Context, instance string, notice func(*pgconn.Notice)) (*pgx.Conn, error)
	// Events returns what the servers' own logs tell of changes of primaries since the moment, in order of time. Where
	// some of them can't be read there is an error, and the events of the others.
	Events(ctx context.Context, since time.Time) ([]Event, error)
	// Table is the table under test.
	Table() Table
}

// Table has one column that matters, id bigint, and is hash-partitioned over its shards by id modulo
// their number.
type Table struct {
	Name   string
	Shards []int // shard numbers, by remainder
}

// The tables of every shard beside the table under test.
const (
	Registers = "cutset.registers" // single values, by key
	Lists     = "cutset.lists"     // lists of values, by key
	Accounts  = "cutset.accounts"  // NumAccounts balances, by id from 1
)

// NumAccounts is how many accounts each shard has.
const NumAccounts = 4

// CreateBeside makes those tables, and the accounts, where they are missing.
const CreateBeside = `
	CREATE TABLE IF NOT EXISTS ` + Registers + ` (key text PRIMARY KEY, value bigint NOT NULL, reads bigint NOT NULL DEFAULT 0);
	CREATE TABLE IF NOT EXISTS ` + Lists + ` (key text PRIMARY KEY, items bigint[] NOT NULL, reads bigint NOT NULL DEFAULT 0);
	CREATE TABLE IF NOT EXISTS ` + Accounts + ` (id int PRIMARY KEY, balance bigint NOT NULL);
	INSERT INTO ` + Accounts + ` SELECT id, 1000 FROM generate_series(1, 4) id ON CONFLICT DO NOTHING`
