module github.com/cutset-dev/cutset/hack/tools

go 1.26.0

tool github.com/golangci/golangci-lint/v2/cmd/golangci-lint
