"""The web application: routes, page objects, figures, errors. Imports neither torch nor SQL."""
