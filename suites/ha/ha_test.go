// Package ha fails what the plan says, on every level and in every way that the provider can, and expects what
// was predicted.
//
// Ginkgo's command takes a package for a suite of its own, and runs it in parallel, when it reads
// "github.com/onsi/ginkgo/v2" in it.
package ha

import (
	"testing"

	"github.com/cutset-dev/cutset/framework"
)

func TestMain(m *testing.M) { framework.Main(m) }

func TestHA(t *testing.T) { framework.RunSuite(t, framework.Suite{Name: "ha"}) }

var _ = framework.Cases("high availability")
