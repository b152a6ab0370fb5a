//! Dependency order of components.

use std::collections::BTreeMap;

use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;

use crate::name::Name;

/// The dependencies can't be ordered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    #[error("component `{component}` depends on `{missing}`, which is not a component; there are: {known}")]
    Unknown { component: Name, missing: Name, known: String },
    #[error("components depend on each other in a circle: {0}")]
    Circle(String),
}

/// Names in an order in which each comes after everything it depends on; among
/// equals the order of the names decides, so the same input gives the same order.
pub fn dependency_order(depends_on: &BTreeMap<Name, Vec<Name>>) -> Result<Vec<Name>, OrderError> {
    let mut graph = DiGraph::<&Name, ()>::new();
    let nodes: BTreeMap<&Name, _> = depends_on.keys().map(|name| (name, graph.add_node(name))).collect();
    for (component, needs) in depends_on {
        for need in needs {
            let Some(to) = nodes.get(need) else {
                let known = depends_on.keys().map(Name::as_str).collect::<Vec<_>>().join(", ");
                return Err(OrderError::Unknown { component: component.clone(), missing: need.clone(), known });
            };
            graph.add_edge(nodes[component], *to, ());
        }
    }
    for group in tarjan_scc(&graph) {
        let circular = group.len() > 1 || group.first().is_some_and(|n| graph.contains_edge(*n, *n));
        if circular {
            let mut names: Vec<_> = group.iter().map(|n| graph[*n].as_str()).collect();
            names.sort_unstable();
            return Err(OrderError::Circle(names.join(", ")));
        }
    }
    let mut order: Vec<Name> = Vec::with_capacity(depends_on.len());
    while order.len() < depends_on.len() {
        let next = depends_on
            .iter()
            .find(|(name, needs)| !order.contains(name) && needs.iter().all(|need| order.contains(need)));
        match next {
            Some((name, _)) => order.push(name.clone()),
            None => return Err(OrderError::Circle("unknown".to_owned())),
        }
    }
    Ok(order)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn n(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn circles_and_strangers_are_named() {
        let circle = BTreeMap::from([(n("a"), vec![n("b")]), (n("b"), vec![n("a")]), (n("c"), vec![])]);
        assert_eq!(dependency_order(&circle), Err(OrderError::Circle("a, b".into())));
        let selfish = BTreeMap::from([(n("a"), vec![n("a")])]);
        assert_eq!(dependency_order(&selfish), Err(OrderError::Circle("a".into())));
        let stranger = BTreeMap::from([(n("a"), vec![n("x")])]);
        assert!(dependency_order(&stranger).unwrap_err().to_string().contains("`x`"));
    }

    proptest! {
        #[test]
        fn each_comes_after_what_it_needs(edges in proptest::collection::vec((1usize..12, 0usize..12), 0..40)) {
            let mut graph: BTreeMap<Name, Vec<Name>> = (0..12).map(|i| (n(&format!("c{i}")), vec![])).collect();
            for (from, to) in edges {
                if to < from {
                    graph.get_mut(&n(&format!("c{from}"))).unwrap().push(n(&format!("c{to}")));
                }
            }
            let order = dependency_order(&graph).unwrap();
            prop_assert_eq!(order.len(), graph.len());
            for (name, needs) in &graph {
                let at = order.iter().position(|o| o == name).unwrap();
                for need in needs {
                    prop_assert!(order.iter().position(|o| o == need).unwrap() < at);
                }
            }
        }
    }
}
