module cutset.invalid/node/network

go 1.26.0
