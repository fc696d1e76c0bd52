//go:build router

package stats

func (j *object) cluster(*Cluster)     {}
func (x *exposition) cluster(*Cluster) {}
