from . import workflows
from .graph_page import GraphPage, PICKER_NODE, FIT, MARGINS
from .test_story import recolouring
def test_dbg(graph: GraphPage, object_info):
    for w in (workflows.picking(object_info), recolouring(object_info), workflows.picking(object_info), recolouring(object_info)):
        graph.show_workflow(w)
        graph.page.evaluate(FIT, MARGINS)
        graph.page.wait_for_timeout(1000)
        print(graph.page.evaluate(f"() => {{const a=window.comfyAPI.app.app; return [a.rootGraph.nodes.length, a.canvas.graph===a.rootGraph, a.canvas.graph.nodes.length, document.querySelectorAll('[data-node-id]').length, document.querySelectorAll('.diffseg-picker').length, document.querySelectorAll('.lg-node').length, {PICKER_NODE}.id, a.rootGraph.id]}}"), [c for c in graph.complaints[-6:] if "Failed to load" not in c])
