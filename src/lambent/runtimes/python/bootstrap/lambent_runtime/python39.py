"""boto3 under Python 3.9, which its present versions no longer name.

Lambda still runs python3.9 functions, with the last boto3 for it; Lambent has one boto3 for all. What keeps that from
working on 3.9 is how it writes types (`bytes | str`) and one flag of `ssl`. Both are put right while its modules are
compiled; a boto3 that a function brings along is left alone.
"""

import __future__

import ast
from importlib.machinery import PathFinder, SourceFileLoader

_TYPES = ("bool", "bytes", "dict", "float", "int", "list", "str", "tuple", "type")
_X509_V_FLAG_PARTIAL_CHAIN = 0x80000


def find_spec(name, path, target, runtime_dir):
    spec = PathFinder.find_spec(name, path, target)
    if spec is None or not isinstance(spec.loader, SourceFileLoader) or not spec.origin.startswith(runtime_dir + "/"):
        return None
    if name == "urllib3":
        import ssl

        if not hasattr(ssl, "VERIFY_X509_PARTIAL_CHAIN"):
            ssl.VERIFY_X509_PARTIAL_CHAIN = _X509_V_FLAG_PARTIAL_CHAIN
    spec.loader = _Loader(spec.loader.name, spec.loader.path)
    # No byte code that another process has made without these changes.
    spec.cached = None
    return spec


class _Loader(SourceFileLoader):
    def get_code(self, fullname):
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def source_to_code(self, data, path, *, _optimize=-1):
        flags = __future__.annotations.compiler_flag
        if b" | " in data:
            tree = compile(data, path, "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True, optimize=_optimize)
            data = ast.fix_missing_locations(_Unions().visit(tree))
        return compile(data, path, "exec", flags, dont_inherit=True, optimize=_optimize)


class _Unions(ast.NodeTransformer):
    """`bytes | str` outside of annotations, as `typing.Union[bytes, str]`."""

    def visit_BinOp(self, node):
        self.generic_visit(node)
        if not isinstance(node.op, ast.BitOr) or not (_is_type(node.left) or _is_type(node.right)):
            return node
        union = ast.parse("__import__('typing').Union[0, 0]", mode="eval").body
        union.slice = ast.Tuple([node.left, node.right], ast.Load())
        return ast.copy_location(union, node)


def _is_type(node):
    return (isinstance(node, ast.Name) and node.id in _TYPES) or (isinstance(node, ast.Constant) and node.value is None)
