//go:build router

package config

// hasCluster says that this build can share announces with other trackers.
const hasCluster = false

var clusterKeys []key

func (p *parser) finishCluster() error { return nil }
