package loop

// A view is one way of telling the statistics. All are below one path, which
// the operator may choose so that it is not guessed:
//
//	/stats?mode=…   viewPages     what opentracker tells
//	/stats.json     viewNumbers   the same and more, for programs
type view uint8

const (
	viewNone view = iota
	viewPages
	viewNumbers
)

// viewOf returns the view at that path, which is decoded and without leading
// slashes.
func (r *reactor) viewOf(path []byte) view {
	if len(path) < len(r.statsPath) || string(path[:len(r.statsPath)]) != r.statsPath {
		return viewNone
	}
	switch string(path[len(r.statsPath):]) {
	case "":
		return viewPages
	case ".json":
		return viewNumbers
	}
	return viewNone
}
